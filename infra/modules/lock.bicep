// Keeps the resource group and all that it holds from being deleted, until somebody removes the lock.

resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'no-deletion'
  properties: {
    level: 'CanNotDelete'
    notes: 'Remove this lock before azd down.'
  }
}
