// Storage and vault are reached through private endpoints alone.

using '../main.bicep'

param environmentName = 'private'
param location = 'northeurope'
param privateNetwork = true
param networkAddressPrefix = '10.7.0.0/25'
