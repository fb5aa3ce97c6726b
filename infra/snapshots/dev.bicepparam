// What a person gets who sets nothing.

using '../main.bicep'

param environmentName = 'dev'
param location = 'northeurope'
