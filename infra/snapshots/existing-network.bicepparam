// Private mode in a virtual network and with private DNS zones that somebody else made.

using '../main.bicep'

param environmentName = 'existing-network'
param location = 'northeurope'
param privateNetwork = true
param functionsSubnetId = '/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/hub/subnets/functions'
param endpointsSubnetId = '/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints'
param privateDnsZones = '/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/dns'
param resourceGroupName = 'orders'
