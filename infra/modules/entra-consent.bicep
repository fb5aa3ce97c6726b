// Consents for everybody in the directory, as an administrator does: nobody is asked at the sign-in.

extension microsoftGraphV1

param servicePrincipalId string
param graphPermissions array
param apiPermissions array
param scopes array

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000' // Microsoft Graph
}

resource graphConsent 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = {
  clientId: servicePrincipalId
  consentType: 'AllPrincipals'
  resourceId: graph.id
  scope: join(graphPermissions, ' ')
}

var apiIds = union(map(apiPermissions, permission => split(permission, '/')[0]), [])

resource apis 'Microsoft.Graph/servicePrincipals@v1.0' existing = [
  for apiId in apiIds: {
    appId: apiId
  }
]

resource apiConsents 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = [
  for (apiId, i) in apiIds: {
    clientId: servicePrincipalId
    consentType: 'AllPrincipals'
    resourceId: apis[i].id
    scope: join(
      map(
        filter(apiPermissions, permission => startsWith(permission, '${apiId}/')),
        permission => split(permission, '/')[1]
      ),
      ' '
    )
  }
]

// The server asks for its own scopes too, as the client of itself.
resource ownConsent 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = {
  clientId: servicePrincipalId
  consentType: 'AllPrincipals'
  resourceId: servicePrincipalId
  scope: join(scopes, ' ')
}
