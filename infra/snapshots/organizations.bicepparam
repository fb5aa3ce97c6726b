// People of two other directories.

using '../main.bicep'

param environmentName = 'organizations'
param location = 'northeurope'
param signInTenant = 'organizations'
param allowedTenants = '44444444-4444-4444-8444-444444444444 55555555-5555-4555-8555-555555555555'
param requiredScopes = 'orders.read orders.write'
param serviceManagementReference = '4711'
