// Creates the application, so that its id is known. Its identifier URI holds that id, hence a second step, which
// describes all the rest: entra-application.bicep. Both name the same application by its unique name. The owners and the
// reference are in both: without them a pipeline may not take the second step, or a directory refuses the first.

extension microsoftGraphV1

param uniqueName string
param displayName string
param signInAudience string
param ownerIds array
param serviceManagementReference string

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: signInAudience
  serviceManagementReference: empty(serviceManagementReference) ? null : serviceManagementReference
  api: {
    requestedAccessTokenVersion: 2
  }
  owners: {
    relationshipSemantics: 'append'
    relationships: ownerIds
  }
}

output clientId string = application.appId
