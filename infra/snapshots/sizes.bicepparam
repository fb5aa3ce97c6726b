// Sizes of its own instead of those of a preset.

using '../main.bicep'

param environmentName = 'sizes'
param location = 'northeurope'
param instanceMemoryMB = 512
param maximumInstanceCount = 60
param alwaysReadyInstances = 2
param httpConcurrency = 16
param storageSku = 'Standard_GRS'
