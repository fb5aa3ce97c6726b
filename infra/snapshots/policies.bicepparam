// What the policies of a large organization may want.

using '../main.bicep'

param environmentName = 'policies'
param location = 'northeurope'
param resourceTags = 'cost center=4711;owner=platform team'
param siteUpdateStrategy = 'RollingUpdate'
param zoneRedundant = true
param vaultPurgeProtection = true
param vaultExpiryDate = '2027-03-01'
param resourceLock = true
param diagnosticsWorkspaceId = '/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/central/providers/Microsoft.OperationalInsights/workspaces/central'
