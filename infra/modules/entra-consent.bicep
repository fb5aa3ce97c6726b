// Consents for everybody in the directory, as an administrator does: nobody is asked at the sign-in.

extension microsoftGraphV1

param servicePrincipalId string
param graphPermissions array
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

// The server asks for its own scopes too, as the client of itself.
resource ownConsent 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = {
  clientId: servicePrincipalId
  consentType: 'AllPrincipals'
  resourceId: servicePrincipalId
  scope: join(scopes, ' ')
}
