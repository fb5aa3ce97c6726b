// A virtual network of its own for private mode: one subnet for the app, one for the private endpoints.

param name string
param location string
param tags object

@description('At least a /25: two subnets of 64 addresses.')
param addressPrefix string

// No rule of its own: the default rules let nothing in from outside the network, and the app has to reach Entra ID,
// Microsoft Graph and the metadata documents of clients.
resource functionsSecurity 'Microsoft.Network/networkSecurityGroups@2025-03-01' = {
  name: '${name}-functions'
  location: location
  tags: tags
}

resource endpointsSecurity 'Microsoft.Network/networkSecurityGroups@2025-03-01' = {
  name: '${name}-private-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'https-from-the-network'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource virtualNetwork 'Microsoft.Network/virtualNetworks@2025-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'functions'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          networkSecurityGroup: {
            id: functionsSecurity.id
          }
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'private-endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          networkSecurityGroup: {
            id: endpointsSecurity.id
          }
          // Otherwise the rules do not count for private endpoints.
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ]
  }

  resource functionsSubnet 'subnets' existing = {
    name: 'functions'
  }

  resource endpointsSubnet 'subnets' existing = {
    name: 'private-endpoints'
  }
}

output functionsSubnetId string = virtualNetwork::functionsSubnet.id
output endpointsSubnetId string = virtualNetwork::endpointsSubnet.id
