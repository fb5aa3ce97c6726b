// Without a client secret.

using '../main.bicep'

param environmentName = 'federated'
param location = 'northeurope'
param authMode = 'federated'
