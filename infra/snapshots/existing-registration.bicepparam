// An application that somebody else made.

using '../main.bicep'

param environmentName = 'existing-registration'
param location = 'northeurope'
param existingClientId = '22222222-2222-4222-8222-222222222222'
param existingIdentifierUri = 'api://mcp.contoso.example'
