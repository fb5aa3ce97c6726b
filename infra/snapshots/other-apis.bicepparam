// Two scopes of another API on the user's behalf, one of them asked for at the sign-in, and a client whose consent covers it.

using '../main.bicep'

param environmentName = 'other-apis'
param location = 'northeurope'
param adminConsent = true
param additionalScopes = 'openid profile offline_access User.Read 66666666-6666-4666-8666-666666666666/Orders.Read'
param apiPermissions = '66666666-6666-4666-8666-666666666666/Orders.Read/77777777-7777-4777-8777-777777777777 66666666-6666-4666-8666-666666666666/Orders.Write/88888888-8888-4888-8888-888888888888'
param knownClientIds = '99999999-9999-4999-8999-999999999999'
