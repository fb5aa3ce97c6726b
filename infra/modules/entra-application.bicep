// The application in Entra ID: what clients may ask for, where people return to after the sign-in, who may sign in.

extension microsoftGraphV1

param uniqueName string
param displayName string
param signInAudience string
param identifierUri string
param redirectUris array
param homePageUrl string
param scopes array
param peopleRoles array
param applicationRoles array
param graphPermissions array

@description('Of other APIs: <client id of the API>/<scope>/<id of the scope>.')
param apiPermissions array

@description('Clients that this API is known by: whoever consents to one of them consents to what this API asks for.')
param knownClientIds array

param preauthorizedClientIds array
param ownerIds array
param assignmentRequired bool
param serviceManagementReference string

@description('Whether tokens of the managed identity stand in for a client secret.')
param federated bool

param federatedPrincipalId string
param federatedIssuer string
param federatedAudience string

// Microsoft Graph
var graphAppId = '00000003-0000-0000-c000-000000000000'
var graphPermissionIds = loadJsonContent('../graph-permissions.json')

var apiIds = union(map(apiPermissions, permission => split(permission, '/')[0]), [])

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: signInAudience
  serviceManagementReference: empty(serviceManagementReference) ? null : serviceManagementReference
  identifierUris: [
    identifierUri
  ]
  api: {
    requestedAccessTokenVersion: 2
    knownClientApplications: knownClientIds
    oauth2PermissionScopes: [
      for scope in scopes: {
        id: guid(uniqueName, 'scope', scope)
        value: scope
        type: 'User'
        isEnabled: true
        adminConsentDisplayName: 'Use ${displayName}'
        adminConsentDescription: 'Allows an assistant to use ${displayName} as the person who is signed in (${scope}).'
        userConsentDisplayName: 'Use ${displayName}'
        userConsentDescription: 'Allows an assistant to use ${displayName} as you (${scope}).'
      }
    ]
    preAuthorizedApplications: [
      for preauthorizedClientId in preauthorizedClientIds: {
        appId: preauthorizedClientId
        delegatedPermissionIds: map(scopes, scope => guid(uniqueName, 'scope', scope))
      }
    ]
  }
  appRoles: [
    for role in union(peopleRoles, applicationRoles): {
      id: guid(uniqueName, 'role', role)
      value: role
      displayName: role
      description: 'The role ${role} in ${displayName}.'
      allowedMemberTypes: concat(
        contains(peopleRoles, role) ? ['User'] : [],
        contains(applicationRoles, role) ? ['Application'] : []
      )
      isEnabled: true
    }
  ]
  web: {
    homePageUrl: homePageUrl
    redirectUris: redirectUris
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  requiredResourceAccess: concat(
    [
      {
        resourceAppId: graphAppId
        resourceAccess: map(filter(graphPermissions, name => contains(graphPermissionIds, name)), name => {
          id: graphPermissionIds[name]
          type: 'Scope'
        })
      }
    ],
    map(apiIds, apiId => {
      resourceAppId: apiId
      resourceAccess: map(filter(apiPermissions, permission => startsWith(permission, '${apiId}/')), permission => {
        id: split(permission, '/')[2]
        type: 'Scope'
      })
    })
  )
  owners: {
    relationshipSemantics: 'append'
    relationships: ownerIds
  }
}

resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
  appRoleAssignmentRequired: assignmentRequired
  tags: [
    'WindowsAzureActiveDirectoryIntegratedApp' // without it the list of enterprise applications does not show this one
  ]
  owners: {
    relationshipSemantics: 'append'
    relationships: ownerIds
  }
}

resource federatedCredential 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = if (federated) {
  name: '${application.uniqueName}/managed-identity'
  description: 'The managed identity of the function app, instead of a client secret.'
  issuer: federatedIssuer
  subject: federatedPrincipalId
  audiences: [
    federatedAudience
  ]
}

output objectId string = application.id
output uniqueName string = application.uniqueName
output servicePrincipalId string = servicePrincipal.id
