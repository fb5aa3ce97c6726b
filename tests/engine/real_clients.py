"""What real clients send when they connect, and where they want to be sent back to; recorded, not made up.

Each redirect URI has what admits it: `defaults`, or another entry of `MCP_ALLOWED_REDIRECT_URIS`.
"""

from __future__ import annotations

from typing import Any

REDIRECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "VS Code": (
        "defaults",
        (
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ),
    ),
    "GitHub Copilot for IntelliJ": ("defaults", ("http://127.0.0.1:33428/callback", "http://127.0.0.1/callback")),
    "GitHub Copilot CLI": ("defaults", ("http://127.0.0.1:63450/",)),
    "Cursor": (
        "defaults",
        (
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ),
    ),
    "Claude": ("defaults", ("https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback")),
    "Claude Code": ("defaults", ("http://localhost:3118/callback",)),
    "Claude Desktop, Code": ("defaults", ("claude://claude.ai/mcp-auth-callback/sdk",)),
    "Claude Desktop, connectors": ("defaults", ("claude://claude.ai/settings/connectors",)),
    "mcp-remote": ("defaults", ("http://localhost:3334/oauth/callback",)),
    "ChatGPT": ("defaults", ("https://chatgpt.com/connector_platform_oauth_redirect",)),
    "ChatGPT, an app of its own": ("defaults", ("https://chatgpt.com/connector/oauth/AbC-123_x",)),
    "OpenAI platform": ("defaults", ("https://platform.openai.com/apps-manage/oauth",)),
    "Codex": ("defaults", ("http://127.0.0.1:63546/callback/6MFBM1In3Ey-",)),
    "Gemini CLI": ("defaults", ("http://localhost:7777/oauth/callback",)),
    "Windsurf": ("defaults", ("http://127.0.0.1:41234/callback",)),
    "Zed": ("defaults", ("http://127.0.0.1:27523/callback",)),
    "Goose": ("defaults", ("http://127.0.0.1:3334/oauth_callback",)),
    "opencode": ("defaults", ("http://127.0.0.1:19876/mcp/oauth/callback",)),
    "Kiro": ("defaults", ("http://localhost:7778/oauth/callback",)),
    "Kiro CLI": ("defaults", ("http://127.0.0.1:49153",)),
    "Amazon Q CLI": ("defaults", ("http://127.0.0.1:7777",)),
    "Continue": ("defaults", ("http://localhost:3000/",)),
    "MCP Inspector": (
        "defaults",
        ("http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"),
    ),
    "LibreChat on this machine": ("defaults", ("http://localhost:3080/api/mcp/entra/oauth/callback",)),
    "Copilot Studio": ("copilot-studio", ("https://global.consent.azure-apim.net/redirect/cre5f-5fentra-20mcp",)),
    "Power Platform": ("copilot-studio", ("https://global.consent.azure-apim.net/redirect",)),
    "Foundry agents": ("copilot-studio", ("https://global.consent.azure-apim.net/redirect/foundry-abc",)),
    "Microsoft 365 Copilot": ("m365-copilot", ("https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect",)),
    "Azure Bot Service": ("bot-service", ("https://token.botframework.com/.auth/web/redirect",)),
    "Grok Bot": ("grok", ("grokbot://mcp/oauth/callback",)),
    "Grok": ("grok", ("https://grok.com/connectors-oauth-exchange-code/",)),
    "Antigravity": ("antigravity", ("https://antigravity.google/oauth-callback",)),
    "Warp": ("warp", ("warp://mcp/oauth2callback",)),
    "Raycast": ("raycast", ("https://raycast.com/redirect?packageName=Extension",)),
    "Cline": ("cline", ("vscode://saoudrizwan.claude-dev/mcp-auth/callback/0a1b2c",)),
    "LibreChat": ("librechat@chat.contoso.com", ("https://chat.contoso.com/api/mcp/entra/oauth/callback",)),
    "Open WebUI": ("open-webui@ai.contoso.com", ("https://ai.contoso.com/oauth/clients/mcp:entra/callback",)),
    "n8n": ("n8n@n8n.contoso.com", ("https://n8n.contoso.com/rest/oauth2-credential/callback",)),
    "n8n cloud": ("n8n", ("https://oauth.n8n.cloud/oauth2/callback",)),
    "Postman": ("postman", ("https://oauth.pstmn.io/v1/callback",)),
    "Le Chat": ("mistral", ("https://callback.mistral.ai/v1/integrations_auth/oauth2_callback",)),
    "Perplexity": ("perplexity", ("https://www.perplexity.ai/rest/connections/oauth_callback",)),
    "Devin": ("devin", ("https://api.devin.ai/mcp/oauth/callback",)),
    "Moltis": ("moltis", ("https://localhost:8443/oauth/callback",)),
    "Posit Workbench": ("posit-workbench@work.contoso.com", ("https://work.contoso.com/oauth_redirect_callback",)),
    "systemprompt": ("systemprompt", ("systemprompt://oauth/callback",)),
}

REGISTRATIONS: dict[str, dict[str, Any]] = {
    "VS Code": {
        "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "access_as_user",
    },
    "Cursor": {"application_type": "web", "token_endpoint_auth_method": "none"},
    "Claude": {
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
    },
    "Claude Code": {"logo_uri": None, "tos_uri": None, "policy_uri": None, "jwks_uri": None, "contacts": None},
    "mcp-remote": {"client_uri": "", "logo_uri": "", "tos_uri": "", "policy_uri": "", "software_id": "2e6dc280"},
    "Zed": {"grant_types": ["authorization_code"]},
    "Kiro CLI": {"scope": "openid email offline_access"},
    "Kiro": {"scope": "openid email profile offline_access"},
    "MCP Inspector": {"grant_types": [], "response_types": [], "token_endpoint_auth_method": None},
    "Foundry agents": {"token_endpoint_auth_method": "client_secret_basic", "scope": " access_as_user"},
    "Codex": {"application_type": "native", "token_endpoint_auth_method": "private_key_jwt"},
    "LibreChat on this machine": {"application_type": "", "scope": ""},
    "Goose": {"application_type": None, "scope": None},
    "Continue": {"application_type": "spa", "response_types": ["code", "none"], "token_endpoint_auth_method": "x"},
}
"""What clients say of themselves beyond their name and redirect URIs."""

ACCEPTED_SCOPES = (
    None,
    "",
    " access_as_user",
    "access_as_user  offline_access ",
    "openid email offline_access access_as_user",
    "openid email offline_access",
    "access_as_user User.Read",
    "api://22222222-2222-4222-8222-222222222222/access_as_user",
)
"""Values of `scope` at the authorization, each of which gets `access_as_user`."""
