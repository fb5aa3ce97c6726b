// Key Vault with the server's secrets. The values are written once and never again: rotation adds versions to them.

param name string
param location string
param tags object
param publicAccess bool
param purgeProtection bool
param softDeleteDays int

@description('Day on which the values below expire; empty for never. The server reads them all the same.')
param expiryDate string

@description('Whether the server signs in to Entra ID with a client secret.')
param clientSecret bool

param principalId string

@secure()
param firstRandom string = newGuid()

@secure()
param secondRandom string = newGuid()

// Key Vault Secrets User
var secretsUserRoleId = '4633458b-17de-408a-b874-0445c86b69e6'

// 32 bytes in base64, made of 42 random hexadecimal digits, which are base64 digits too: 162 random bits. The `A` sets
// the last, incomplete byte's spare bits to zero.
var signingKey = '${take(replace('${firstRandom}${secondRandom}', '-', ''), 42)}A='

var attributes = empty(expiryDate) ? {} : { exp: dateTimeToEpoch('${expiryDate}T00:00:00Z') }

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: purgeProtection ? true : null
    softDeleteRetentionInDays: softDeleteDays
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    networkAcls: {
      // Azure Resource Manager writes the secrets below, also where the vault is private.
      bypass: 'AzureServices'
      defaultAction: publicAccess ? 'Allow' : 'Deny'
    }
  }
}

@onlyIfNotExists()
resource signingKeySecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: 'jwt-signing-key'
  properties: {
    value: signingKey
    contentType: '32 random bytes, base64'
    attributes: attributes
  }
}

// Only a place for the role below to apply to. The server refuses this value; the postprovision hook adds the real one.
@onlyIfNotExists()
resource clientSecretSecret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (clientSecret) {
  parent: vault
  name: 'entra-client-secret'
  properties: {
    value: 'not set yet'
    contentType: 'replaced by the postprovision hook'
    attributes: attributes
  }
}

resource mayReadSigningKey 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: signingKeySecret
  name: guid(signingKeySecret.id, principalId, secretsUserRoleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUserRoleId)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource mayReadClientSecret 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (clientSecret) {
  scope: clientSecretSecret
  // By the name of the secret: what is conditional has no id to speak of when it is not made.
  name: guid(vault.id, 'entra-client-secret', principalId, secretsUserRoleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUserRoleId)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output id string = vault.id
output name string = vault.name
output url string = 'https://${vault.name}${environment().suffixes.keyvaultDns}'
