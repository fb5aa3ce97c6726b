// Clients bring tokens of Entra ID.

using '../main.bicep'

param environmentName = 'verify'
param location = 'northeurope'
param authMode = 'verify'
param preauthorizedClientIds = '11111111-1111-4111-8111-111111111111'
