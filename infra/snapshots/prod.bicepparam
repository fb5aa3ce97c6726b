// The other preset.

using '../main.bicep'

param environmentName = 'prod'
param location = 'northeurope'
param preset = 'prod'
