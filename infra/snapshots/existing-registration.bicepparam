// An application that somebody else made, and everything that they have to know.

using '../main.bicep'

param environmentName = 'existing-registration'
param location = 'northeurope'
param existingClientId = '22222222-2222-4222-8222-222222222222'
param existingIdentifierUri = 'api://mcp.contoso.example'
param signInTenant = 'organizations'
param appRoles = 'Admin Reader'
param allowedAppRoles = 'Tasks.Run Reader'
param additionalScopes = 'openid User.Read https://graph.microsoft.us/Mail.Read https://microsoftgraph.chinacloudapi.cn/Calendars.Read https://graph.microsoft.us/.default api://other/Orders.Read'
param adminConsent = true
param assignmentRequired = true
