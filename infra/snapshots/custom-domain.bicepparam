// The server has an address of its own.

using '../main.bicep'

param environmentName = 'custom-domain'
param location = 'northeurope'
param customBaseUrl = 'https://mcp.contoso.example'
param serverName = 'Contoso Orders'
param allowedRedirectUris = 'https://claude.ai/api/mcp/auth_callback'
param extraAppSettings = 'MCP_SESSION_DAYS=7;GREETING=a=b'
