// Private mode: storage and vault are reached through private endpoints alone. All of it exists before the app starts.

param name string
param location string
param tags object

@description('At least a /25, where the network is made here.')
param addressPrefix string

@description('Subnet of a network that exists, delegated to Microsoft.App/environments; empty to make a network.')
param functionsSubnetId string

@description('Subnet for private endpoints in that network.')
param endpointsSubnetId string

@description('Empty to make the zones, the id of the resource group that has them, or none.')
param dnsZones string

param storageId string
param vaultId string

var storageSuffix = environment().suffixes.storage
// Ends with the vault suffix of the cloud, which begins with `.vault.`; the private zone is called `vaultcore`.
var vaultZone = 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'

var endpoints = [
  {
    service: 'blob'
    zone: 'privatelink.blob.${storageSuffix}'
    resourceId: storageId
  }
  {
    service: 'queue'
    zone: 'privatelink.queue.${storageSuffix}'
    resourceId: storageId
  }
  {
    service: 'table'
    zone: 'privatelink.table.${storageSuffix}'
    resourceId: storageId
  }
  {
    service: 'vault'
    zone: vaultZone
    resourceId: vaultId
  }
]

module virtualNetwork 'virtual-network.bicep' = if (empty(functionsSubnetId)) {
  params: {
    name: name
    location: location
    tags: tags
    addressPrefix: addressPrefix
  }
}

var appSubnetId = virtualNetwork.?outputs.functionsSubnetId ?? functionsSubnetId
var privateSubnetId = virtualNetwork.?outputs.endpointsSubnetId ?? endpointsSubnetId

module privateDns 'private-dns.bicep' = if (empty(dnsZones)) {
  params: {
    tags: tags
    zoneNames: map(endpoints, endpoint => endpoint.zone)
    virtualNetworkId: split(appSubnetId, '/subnets/')[0]
  }
}

// One after the other: storage accounts and subnets refuse two changes at once.
@batchSize(1)
resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-03-01' = [
  for endpoint in endpoints: {
    name: '${name}-${endpoint.service}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: privateSubnetId
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.service
          properties: {
            privateLinkServiceId: endpoint.resourceId
            groupIds: [
              endpoint.service
            ]
          }
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-03-01' = [
  for (endpoint, i) in endpoints: if (dnsZones != 'none') {
    parent: privateEndpoints[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.service
          properties: {
            privateDnsZoneId: '${empty(dnsZones) ? resourceGroup().id : dnsZones}/providers/Microsoft.Network/privateDnsZones/${endpoint.zone}'
          }
        }
      ]
    }
    dependsOn: [
      privateDns
    ]
  }
]

output functionsSubnetId string = appSubnetId
