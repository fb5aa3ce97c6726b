// Everything that the server needs in Azure. The order of the modules is what breaks the cycle between the app and its
// registration: identity, then the function app without settings, then the application with the app's real host name,
// then the settings with the application's id.

targetScope = 'subscription'

@description('Name of the environment; every name and tag derives from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Azure region; it has to offer Flex Consumption.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@description('Resource group; made unless it exists. Empty: rg-<environment>.')
param resourceGroupName string = ''

@description('What the sizes below are when they are not given. Choose before the first deployment.')
@allowed([
  'dev'
  'prod'
])
param preset string = 'dev'

@description('Further tags, for everything that can have tags: NAME=value;NAME=value.')
param resourceTags string = ''

@description('proxy: sign-in at this server, with a client secret. federated: without one. verify: no sign-in here.')
@allowed([
  'proxy'
  'federated'
  'verify'
])
param authMode string = 'proxy'

@description('Shown to people and clients in place of the name that the app gives itself; empty for the latter.')
@maxLength(64)
param serverName string = ''

@description('https:// and the custom domain of the function app; empty for the host name that Azure gives it.')
param customBaseUrl string = ''

@description('Redirect URIs that clients may register.')
param allowedRedirectUris string = 'defaults'

@description('Further app settings: NAME=value;NAME=value.')
param extraAppSettings string = ''

@description('Whose accounts may sign in: empty for this directory, or organizations, or consumers.')
@allowed([
  ''
  'organizations'
  'consumers'
])
param signInTenant string = ''

@description('With organizations: ids of the directories whose people may sign in; empty for all.')
param allowedTenants string = ''

@description('Scopes of the application that every call needs.')
param requiredScopes string = 'access_as_user'

@description('Further scopes of the application, which single tools need.')
param optionalScopes string = ''

@description('What else people are asked for at the sign-in, such as Microsoft Graph permissions.')
param additionalScopes string = 'openid profile offline_access User.Read'

@description('Roles that people can be given in the application, separated by spaces.')
param appRoles string = ''

@description('Roles that applications can be given, of which one that calls for itself needs one; empty refuses all.')
param allowedAppRoles string = ''

@description('Delegated permissions of other APIs than Microsoft Graph: <client id of the API>/<scope>/<id of the scope>.')
param apiPermissions string = ''

@description('Client ids of applications in whose consent the consent to this one is included, separated by spaces.')
param knownClientIds string = ''

@description('Client id of an application that somebody else made; empty to make one.')
param existingClientId string = ''

@description('Application ID URI of that application; empty for api://<client id>.')
param existingIdentifierUri string = ''

@description('Consent for everybody in the directory; needs an administrator to deploy.')
param adminConsent bool = false

@description('Whether only people and groups that are assigned to the application may sign in.')
param assignmentRequired bool = false

@description('Object ids of further owners of the application, such as the pipeline, separated by spaces.')
param ownerIds string = ''

@description('Client ids that need no consent, for authMode verify, separated by spaces.')
param preauthorizedClientIds string = ''

@description('Reference to the service that the application belongs to, where the directory wants one.')
param serviceManagementReference string = ''

@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Most instances, 40 to 1000; -1 for what the preset says.')
@minValue(-1)
@maxValue(1000)
param maximumInstanceCount int = -1

@description('Instances that are always running, which is paid for; -1 for what the preset says.')
@minValue(-1)
@maxValue(1000)
param alwaysReadyInstances int = -1

@description('Requests that one instance serves at once.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 32

@description('What an update does to the instances: Recreate restarts all of them, RollingUpdate is a preview.')
@allowed([
  'Recreate'
  'RollingUpdate'
])
param siteUpdateStrategy string = 'Recreate'

@description('Whether instances are spread over availability zones.')
param zoneRedundant bool = false

@description('Kind of storage account, such as Standard_ZRS; empty for what the preset says.')
param storageSku string = ''

@description('Whether storage and vault are reached through private endpoints alone.')
param privateNetwork bool = false

@description('Addresses of the virtual network in private mode, a /25 or larger.')
param networkAddressPrefix string = '10.42.0.0/24'

@description('Id of a subnet delegated to Microsoft.App/environments, for private mode in a network that exists.')
param functionsSubnetId string = ''

@description('Id of the subnet for private endpoints in that network.')
param endpointsSubnetId string = ''

@description('Private DNS zones: empty to make them, the id of a resource group that has them, or none where a policy registers the names.')
param privateDnsZones string = ''

@description('Whether nobody can purge the deleted vault, with any preset. It cannot be turned off again.')
param vaultPurgeProtection bool = false

@description('Day on which the values that are first put into the vault expire, such as 2027-03-01; empty for never.')
param vaultExpiryDate string = ''

@description('Whether a lock keeps the resource group from being deleted.')
param resourceLock bool = false

@description('Id of a Log Analytics workspace that gets the audit logs as well; empty for none.')
param diagnosticsWorkspaceId string = ''

@description('Who gets the e-mails of alerts and the budget; empty for neither.')
param alertEmail string = ''

@description('Budget of the resource group, a month, in the currency of the subscription; 0 for none.')
@minValue(0)
param budgetAmount int = 0

@description('First day of the month in which the budget is made, such as 2026-03-01; leave it as it is afterwards.')
param budgetStartDate string = ''

var presets = {
  dev: {
    maximumInstanceCount: 40
    alwaysReadyInstances: 0
    storageSku: 'Standard_LRS'
    logRetentionDays: 30
    logDailyCapGb: 1
    purgeProtection: false
    softDeleteDays: 7
  }
  prod: {
    maximumInstanceCount: 100
    alwaysReadyInstances: 1
    storageSku: 'Standard_ZRS'
    logRetentionDays: 90
    logDailyCapGb: -1
    purgeProtection: true
    softDeleteDays: 90
  }
}
var sizes = presets[preset]

// Sovereign clouds call Entra ID, Microsoft Graph and the audience of federated credentials by other names.
var clouds = loadJsonContent('clouds.json', '$.entra')
var cloud = clouds[environment().name]

// Azure takes a region in any spelling; the names are those of its plain one.
var token = toLower(uniqueString(subscription().id, environmentName, toLower(replace(location, ' ', ''))))
var names = {
  resourceGroup: empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
  identity: 'id-${token}'
  workspace: 'log-${token}'
  applicationInsights: 'appi-${token}'
  storage: 'st${token}'
  vault: 'kv-${token}'
  network: 'vnet-${token}'
  plan: 'plan-${token}'
  functionApp: 'func-${token}'
  application: 'mcp-${token}'
}
var tagPairs = map(
  filter(split(resourceTags, ';'), pair => !empty(trim(pair))),
  pair =>
    indexOf(trim(pair), '=') > 0
      ? pair
      : fail('RESOURCE_TAGS takes NAME=value;NAME=value, and no value with a semicolon.')
)
var tags = union(
  toObject(tagPairs, pair => trim(split(pair, '=')[0]), pair => trim(join(skip(split(pair, '='), 1), '='))),
  {
    'azd-env-name': environmentName
  }
)

var tableName = 'McpOAuthState'
var directory = tenant().tenantId
var signInAudience = signInTenant == 'organizations'
  ? 'AzureADMultipleOrgs'
  : (signInTenant == 'consumers' ? 'PersonalMicrosoftAccount' : 'AzureADMyOrg')
var ownApplication = empty(existingClientId)
var applicationDisplayName = take('${empty(serverName) ? 'MCP server' : serverName} (${environmentName})', 120)

var scopeWords = union(
  filter(split(replace('${requiredScopes} ${optionalScopes}', ',', ' '), ' '), word => !empty(word)),
  []
)
// A scope of another API is none of Microsoft Graph's, whose address in one of the clouds may stand before the name.
var graphScopes = filter(
  split(replace(additionalScopes, ',', ' '), ' '),
  word =>
    !empty(word) && !endsWith(word, '.default') && (!contains(word, '/') || !empty(filter(
      items(clouds),
      one => startsWith(word, '${one.value.graph}/')
    )))
)
var graphWords = union(map(graphScopes, word => last(split(word, '/'))), [])
var roleWords = filter(split(replace(appRoles, ',', ' '), ' '), word => !empty(word))
var applicationRoleWords = filter(split(replace(allowedAppRoles, ',', ' '), ' '), word => !empty(word))
var ownerWords = filter(split(replace(ownerIds, ',', ' '), ' '), word => !empty(word))
var apiPermissionWords = map(
  filter(split(replace(apiPermissions, ',', ' '), ' '), word => !empty(word)),
  word =>
    length(split(word, '/')) == 3
      ? word
      : fail('ENTRA_API_PERMISSIONS takes words of the form <client id of the API>/<scope>/<id of the scope>.')
)
var knownClientWords = filter(split(replace(knownClientIds, ',', ' '), ' '), word => !empty(word))
var preauthorizedWords = filter(split(replace(preauthorizedClientIds, ',', ' '), ' '), word => !empty(word))

var extraPairs = map(
  filter(split(extraAppSettings, ';'), pair => !empty(trim(pair))),
  pair =>
    indexOf(trim(pair), '=') > 0
      ? pair
      : fail('EXTRA_APP_SETTINGS takes NAME=value;NAME=value, and no value with a semicolon.')
)
var extraSettings = toObject(
  extraPairs,
  pair => trim(split(pair, '=')[0]),
  pair => trim(join(skip(split(pair, '='), 1), '='))
)

var isPrivate = privateNetwork || empty('${functionsSubnetId}${endpointsSubnetId}${privateDnsZones}')
  ? privateNetwork
  : fail('The subnets and DNS zones of NETWORK_* are for private mode: set PRIVATE_NETWORK to true, or leave them empty.')
// What follows is the name of a group, and nothing behind it: the ids of the zones continue it.
var zonesGroup = last(split(toLower(privateDnsZones), '/resourcegroups/'))
var areZones = contains(['', 'none'], privateDnsZones) || startsWith(privateDnsZones, '/subscriptions/') && !empty(zonesGroup) && !contains(
  zonesGroup,
  '/'
)

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: names.resourceGroup
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: names.identity
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: names.workspace
    applicationInsightsName: names.applicationInsights
    location: location
    tags: tags
    retentionDays: sizes.logRetentionDays
    dailyCapGb: sizes.logDailyCapGb
    #disable-next-line what-if-short-circuiting // names of role assignments hold it, and an assignment keeps its name
    principalId: identity.outputs.principalId
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    name: names.storage
    location: location
    tags: tags
    skuName: empty(storageSku) ? sizes.storageSku : storageSku
    tableName: tableName
    publicAccess: !isPrivate
    #disable-next-line what-if-short-circuiting // names of role assignments hold it, and an assignment keeps its name
    principalId: identity.outputs.principalId
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    name: names.vault
    location: location
    tags: tags
    publicAccess: !isPrivate
    purgeProtection: sizes.purgeProtection || vaultPurgeProtection
    softDeleteDays: sizes.softDeleteDays
    expiryDate: vaultExpiryDate
    clientSecret: authMode == 'proxy'
    #disable-next-line what-if-short-circuiting // names of role assignments hold it, and an assignment keeps its name
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (isPrivate) {
  scope: group
  params: {
    name: names.network
    location: location
    tags: tags
    addressPrefix: networkAddressPrefix
    functionsSubnetId: functionsSubnetId
    endpointsSubnetId: empty(functionsSubnetId) == empty(endpointsSubnetId)
      ? endpointsSubnetId
      : fail('NETWORK_FUNCTIONS_SUBNET_ID and NETWORK_ENDPOINTS_SUBNET_ID belong together: set both or none.')
    dnsZones: areZones
      ? privateDnsZones
      : fail('NETWORK_PRIVATE_DNS_ZONES takes none, or the id of a resource group: /subscriptions/<id>/resourceGroups/<name>.')
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module functionApp 'modules/function-app.bicep' = {
  scope: group
  params: {
    planName: names.plan
    name: names.functionApp
    location: location
    tags: tags
    identityId: identity.outputs.id
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount == -1 ? sizes.maximumInstanceCount : maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances == -1 ? sizes.alwaysReadyInstances : alwaysReadyInstances
    httpConcurrency: httpConcurrency
    siteUpdateStrategy: siteUpdateStrategy
    zoneRedundant: zoneRedundant
    subnetId: network.?outputs.functionsSubnetId ?? ''
  }
}

var generatedBaseUrl = 'https://${functionApp.outputs.hostName}'
var isOrigin = startsWith(customBaseUrl, 'https://') && length(split(customBaseUrl, '/')) == 3
var baseUrl = empty(customBaseUrl)
  ? generatedBaseUrl
  : (isOrigin ? customBaseUrl : fail('MCP_CUSTOM_BASE_URL has to be https:// and a host name, with nothing behind it.'))
// The generated name stays registered beside a custom one, so that moving to the custom one breaks nobody's sign-in.
var redirectUris = map(union([generatedBaseUrl], [baseUrl]), origin => '${origin}/auth/callback')

module registration 'modules/entra-registration.bicep' = if (ownApplication) {
  scope: group
  params: {
    uniqueName: environment().name == 'AzureCloud'
      ? names.application
      : fail('Applications can be made in the public cloud only: set ENTRA_EXISTING_CLIENT_ID (docs/deploy.md).')
    displayName: applicationDisplayName
    signInAudience: signInAudience
    ownerIds: ownerWords
    serviceManagementReference: serviceManagementReference
  }
}

var clientId = ownApplication ? registration.?outputs.clientId ?? '' : existingClientId
var identifierUri = ownApplication || empty(existingIdentifierUri) ? 'api://${clientId}' : existingIdentifierUri
var issuer = 'https://${cloud.authority}/${directory}/v2.0'

module application 'modules/entra-application.bicep' = if (ownApplication) {
  scope: group
  params: {
    uniqueName: names.application
    displayName: applicationDisplayName
    signInAudience: signInAudience
    identifierUri: identifierUri
    redirectUris: authMode == 'verify' ? [] : redirectUris
    homePageUrl: baseUrl
    scopes: scopeWords
    peopleRoles: roleWords
    applicationRoles: applicationRoleWords
    graphPermissions: graphWords
    apiPermissions: apiPermissionWords
    knownClientIds: knownClientWords
    preauthorizedClientIds: preauthorizedWords
    ownerIds: ownerWords
    assignmentRequired: assignmentRequired
    serviceManagementReference: serviceManagementReference
    federated: authMode == 'federated'
    federatedPrincipalId: identity.outputs.principalId
    federatedIssuer: issuer
    federatedAudience: cloud.tokenExchange
  }
}

module consent 'modules/entra-consent.bicep' = if (ownApplication && adminConsent && authMode != 'verify') {
  scope: group
  params: {
    servicePrincipalId: application.?outputs.servicePrincipalId ?? ''
    graphPermissions: graphWords
    apiPermissions: apiPermissionWords
    scopes: scopeWords
  }
}

module appSettings 'modules/app-settings.bicep' = {
  scope: group
  params: {
    functionAppName: names.functionApp
    identityClientId: identity.outputs.clientId
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    storageName: storage.outputs.name
    blobEndpoint: storage.outputs.blobEndpoint
    queueEndpoint: storage.outputs.queueEndpoint
    tableEndpoint: storage.outputs.tableEndpoint
    tableName: tableName
    vaultUrl: vault.outputs.url
    authMode: authMode
    baseUrl: baseUrl
    serverName: serverName
    allowedRedirectUris: allowedRedirectUris
    tenantId: empty(signInTenant) ? directory : signInTenant
    clientId: clientId
    identifierUri: identifierUri
    allowedTenants: allowedTenants
    requiredScopes: requiredScopes
    optionalScopes: optionalScopes
    additionalScopes: additionalScopes
    allowedAppRoles: allowedAppRoles
    authorityHost: cloud.authority
    assertionAudience: cloud.tokenExchange
    graphUrl: cloud.graph
    extra: extraSettings
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.applicationInsightsId
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmail)) {
  scope: group
  params: {
    location: location
    tags: tags
    email: alertEmail
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    vaultId: vault.outputs.id
  }
}

module budget 'modules/budget.bicep' = if (budgetAmount > 0) {
  scope: group
  params: {
    amount: budgetAmount
    email: empty(alertEmail) ? fail('A budget needs ALERT_EMAIL: who gets its e-mails.') : alertEmail
    startDate: empty(budgetStartDate)
      ? fail('A budget needs BUDGET_START_DATE: the first day of the current month.')
      : budgetStartDate
  }
}

module diagnostics 'modules/diagnostics.bicep' = if (!empty(diagnosticsWorkspaceId)) {
  scope: group
  params: {
    workspaceId: diagnosticsWorkspaceId
    vaultName: names.vault
    storageName: names.storage
    functionAppName: names.functionApp
  }
  dependsOn: [
    vault
    storage
    functionApp
  ]
}

module lock 'modules/lock.bicep' = if (resourceLock) {
  scope: group
}

// What the administrator of an application that somebody else made has to set, as one text.
var callers = authMode == 'verify'
  ? map(preauthorizedWords, client => 'Authorized client application, for all of these scopes: ${client}')
  : map(redirectUris, uri => 'Redirect URI, platform Web: ${uri}')
var permissionLines = authMode == 'verify'
  ? []
  : concat(
      ['Delegated permissions of Microsoft Graph: ${join(graphWords, ' ')}'],
      map(apiPermissionWords, word => 'Delegated permission of another API, as client id, name, id: ${word}')
    )
var consentLines = concat(
  assignmentRequired ? ['Enterprise application: assignment required'] : [],
  adminConsent && authMode != 'verify'
    ? ['Consent of an administrator for everybody, to these permissions and to the scopes']
    : []
)
var federatedLines = authMode == 'federated'
  ? [
      'Federated credential (other issuer): issuer ${issuer}, subject ${identity.outputs.principalId}, audience ${cloud.tokenExchange}'
    ]
  : []
var handOff = join(
  concat(
    ['Application for ${applicationDisplayName}, client id ${clientId}'],
    ['Manifest: signInAudience = ${signInAudience}'],
    ['Manifest: api.requestedAccessTokenVersion = 2'],
    ['Application ID URI: ${identifierUri}'],
    map(scopeWords, scope => 'Delegated scope of it, enabled: ${scope}'),
    map(
      union(roleWords, applicationRoleWords),
      role =>
        'App role for ${!contains(applicationRoleWords, role) ? 'users and groups' : (contains(roleWords, role) ? 'users, groups and applications' : 'applications')}: ${role}'
    ),
    map(knownClientWords, client => 'Manifest: api.knownClientApplications has ${client}'),
    callers,
    permissionLines,
    consentLines,
    federatedLines
  ),
  '\n- '
)

// `azd down` deletes every output from azd's environment. So none has the name of a variable that azd or a person sets:
// subscription and resource group are parts of the vault's id.
output AZURE_CLOUD_NAME string = environment().name
output AZURE_DIRECTORY_ID string = directory
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name
output AZURE_KEY_VAULT_ID string = vault.outputs.id
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output AZURE_STORAGE_ACCOUNT_NAME string = storage.outputs.name
output ENTRA_CLIENT_ID string = clientId
output ENTRA_TENANT_ID string = empty(signInTenant) ? directory : signInTenant
output ENTRA_APP_OBJECT_ID string = application.?outputs.objectId ?? ''
output ENTRA_APP_UNIQUE_NAME string = application.?outputs.uniqueName ?? ''
output ENTRA_HAND_OFF string = ownApplication ? '' : handOff
output MCP_BASE_URL string = baseUrl
output MCP_URL string = '${baseUrl}/mcp'
