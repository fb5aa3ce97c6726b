// Consent for everybody, app roles of people and applications, a scope that single tools need, a permission with its address, and only people who are assigned.

using '../main.bicep'

param environmentName = 'admin-consent'
param location = 'northeurope'
param additionalScopes = 'openid profile offline_access User.Read https://graph.microsoft.com/Calendars.Read https://graph.microsoft.com/User.Read https://graph.microsoft.com/.default api://other/Orders.Read'
param adminConsent = true
param assignmentRequired = true
param allowedAppRoles = 'Tasks.Run Reader'
param appRoles = 'Admin Reader'
param optionalScopes = 'Orders.Approve'
param ownerIds = '33333333-3333-4333-8333-333333333333'
