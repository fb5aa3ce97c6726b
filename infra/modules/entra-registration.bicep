// Creates the application, so that its id is known. Its identifier URI holds that id, hence a second step, which
// describes all the rest: entra-application.bicep. Both name the same application by its unique name.

extension microsoftGraphV1

param uniqueName string
param displayName string
param signInAudience string

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: signInAudience
  api: {
    requestedAccessTokenVersion: 2
  }
}

output clientId string = application.appId
