// Somebody gets an e-mail when something is wrong, or costs too much.

using '../main.bicep'

param environmentName = 'alerts-budget'
param location = 'northeurope'
param alertEmail = 'operators@contoso.example'
param budgetAmount = 50
param budgetStartDate = '2026-03-01'
