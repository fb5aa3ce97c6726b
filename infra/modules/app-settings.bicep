// The settings of the server, all of them in one place. What each means: docs/settings.md.

param functionAppName string
param identityClientId string
param applicationInsightsConnectionString string
param storageName string
param blobEndpoint string
param queueEndpoint string
param tableEndpoint string
param tableName string
param vaultUrl string
param authMode string
param baseUrl string
param serverName string
param allowedRedirectUris string
param tenantId string
param clientId string
param identifierUri string
param allowedTenants string
param requiredScopes string
param optionalScopes string
param additionalScopes string
param allowedAppRoles string
param authorityHost string
param assertionAudience string
param graphUrl string

@description('Further settings, which win over those here.')
param extra object

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

var host = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
  AzureWebJobsDisableHomepage: 'true'
  // The host would keep them in tables of its own, for which its identity has no role: it may use the server's table only.
  AzureWebJobsFeatureFlags: 'DisableDiagnosticEventLogging'
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
}

// With the addresses alone the host can look for its storage before it has read them all. From a name it derives those
// of the public cloud, hence only there.
var publicCloudHost = environment().name == 'AzureCloud' ? { AzureWebJobsStorage__accountName: storageName } : {}

var server = {
  AUTH_MODE: authMode
  AZURE_CLIENT_ID: identityClientId
  ENTRA_ADDITIONAL_SCOPES: additionalScopes
  ENTRA_ALLOWED_APP_ROLES: allowedAppRoles
  ENTRA_ALLOWED_TENANTS: allowedTenants
  ENTRA_ASSERTION_AUDIENCE: assertionAudience
  ENTRA_AUTHORITY: authorityHost
  ENTRA_CLIENT_ID: clientId
  ENTRA_IDENTIFIER_URI: identifierUri
  ENTRA_OPTIONAL_SCOPES: optionalScopes
  ENTRA_REQUIRED_SCOPES: requiredScopes
  ENTRA_TENANT_ID: tenantId
  GRAPH_BASE_URL: graphUrl
  KEY_VAULT_URL: vaultUrl
  MCP_ALLOWED_REDIRECT_URIS: allowedRedirectUris
  MCP_BASE_URL: baseUrl
  MCP_SERVER_NAME: serverName
  MCP_TABLE_NAME: tableName
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(host, publicCloudHost, server, extra)
}
