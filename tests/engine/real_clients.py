"""What clients send when they connect, and where they want to be sent back to.

`RECORDED` and `RECORDED_BODIES` are from reports, pull requests, documents and source text about the clients, each with
its source, mostly a thread of GitHub; hosts of one's own and ids are examples. `ASSUMED` and `SYNTHETIC` are what
nobody was seen to send.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """One client."""

    entry: str
    """What admits it: `defaults`, or another entry of `MCP_ALLOWED_REDIRECT_URIS`."""
    redirect_uris: tuple[str, ...]
    """What it registers together."""
    source: str
    registration: dict[str, Any] = field(default_factory=dict[str, Any])
    """What it says of itself beyond its name and redirect URIs, as far as the source says."""


LOOPBACK = "http://localhost:53682/callback"

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

RECORDED = {
    "VS Code": Recorded(
        "defaults",
        (
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ),
        "microsoft/vscode#278512, src/vs/base/common/oauth.ts",
        {
            "client_name": "Visual Studio Code",
            "client_uri": "https://code.visualstudio.com",
            "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
            "scope": "access_as_user",
            "application_type": "native",
        },
    ),
    "GitHub Copilot for IntelliJ": Recorded(
        "defaults",
        ("http://127.0.0.1:33428/callback", "http://127.0.0.1/callback"),
        "microsoft/copilot-intellij-feedback#2041",
    ),
    "GitHub Copilot CLI": Recorded("defaults", ("http://127.0.0.1:63450/",), "github/copilot-cli#4901, #4800"),
    "Cursor": Recorded(
        "defaults",
        (
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ),
        "koala73/worldmonitor docs, better-auth PR#10956",
    ),
    "Cursor, desktop": Recorded(
        "defaults",
        ("cursor://anysphere.cursor-mcp/oauth/callback",),
        "better-auth#10946",
        {"application_type": "web"},
    ),
    "Claude": Recorded(
        "defaults",
        ("https://claude.ai/api/mcp/auth_callback",),
        "claude-ai-mcp#514, #653, better-auth#11081, PR#11175",
        {
            "grant_types": ["authorization_code", "refresh_token", JWT_BEARER],
            "token_endpoint_auth_method": "client_secret_post",
        },
    ),
    "Claude, claude.com": Recorded(
        "defaults", ("https://claude.com/api/mcp/auth_callback",), "koala73/worldmonitor docs"
    ),
    "Claude Code": Recorded("defaults", ("http://localhost:3118/callback",), "elmohq/elmo PR#684"),
    "Claude Desktop, Code": Recorded(
        "defaults", ("claude://claude.ai/mcp-auth-callback/sdk",), "anthropics/claude-code#93671"
    ),
    "Claude Desktop, connectors": Recorded(
        "defaults", ("claude://claude.ai/settings/connectors",), "Swiggy manifest#46, fastmcp#3369"
    ),
    "mcp-remote": Recorded("defaults", ("http://localhost:3334/oauth/callback",), "agentserver PR#270"),
    "ChatGPT": Recorded(
        "defaults", ("https://chatgpt.com/connector_platform_oauth_redirect",), "koala73/worldmonitor docs"
    ),
    "ChatGPT, an app of its own": Recorded(
        "defaults", ("https://chatgpt.com/connector/oauth/AbC-123_x",), "makeplane PR#165"
    ),
    "Codex": Recorded(
        "defaults",
        ("http://127.0.0.1:63546/callback/6MFBM1In3Ey-",),
        "openai/codex#30460",
        {"application_type": "native"},
    ),
    "Gemini CLI": Recorded("defaults", ("http://localhost:7777/oauth/callback",), "gemini-cli PR#7465, #14419"),
    "Zed": Recorded(
        "defaults",
        ("http://127.0.0.1:27523/callback",),
        "zed PR#51768, zed#53784",
        {"grant_types": ["authorization_code"]},
    ),
    "Goose": Recorded("defaults", ("http://127.0.0.1:3334/oauth_callback",), "goose#8918"),
    "opencode": Recorded("defaults", ("http://127.0.0.1:19876/mcp/oauth/callback",), "opencode#7377"),
    "Kiro": Recorded("defaults", ("http://localhost:7778/oauth/callback",), "Kiro#10927"),
    "Kiro CLI": Recorded(
        "defaults",
        ("http://127.0.0.1:49153",),
        "Kiro#11192",
        {"scope": "openid email offline_access"},
    ),
    "Amazon Q CLI": Recorded("defaults", ("http://127.0.0.1:7777",), "amazon-q-developer-cli PR#3124"),
    "Continue": Recorded("defaults", ("http://localhost:3000/",), "continue PR#6800"),
    "MCP Inspector": Recorded(
        "defaults",
        ("http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"),
        "gemini-cli#18833",
    ),
    "LibreChat on this machine": Recorded(
        "defaults", ("http://localhost:3080/api/mcp/entra/oauth/callback",), "librechat.ai#388"
    ),
    "Copilot Studio": Recorded(
        "copilot-studio",
        ("https://global.consent.azure-apim.net/redirect/cre5f-5fentra-20mcp-20server-5f1a2b3c4d5e6f7a8b",),
        "Teamwork/mcp#67, tableau-mcp#866, odoo-mcp-pro PR#57",
    ),
    "Power Platform": Recorded(
        "copilot-studio",
        ("https://global.consent.azure-apim.net/redirect",),
        "PowerPlatformConnectors PR#3035, coe-starter-kit#4729",
    ),
    "Foundry agents": Recorded(
        "copilot-studio", ("https://global.consent.azure-apim.net/redirect/foundry-abc",), "Azure/Connectors#132"
    ),
    "Microsoft 365 Copilot": Recorded(
        "m365-copilot",
        ("https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect",),
        "microsoft-365-agents-toolkit#12949, #12722",
    ),
    "Azure Bot Service": Recorded(
        "bot-service", ("https://token.botframework.com/.auth/web/redirect",), "Microsoft's documents"
    ),
    "Grok Bot": Recorded("grok", ("grokbot://mcp/oauth/callback",), "a comment in source text on GitHub"),
    "Grok": Recorded("grok", ("https://grok.com/connectors-oauth-exchange-code/",), "koala73/worldmonitor docs"),
    "Antigravity": Recorded("antigravity", ("https://antigravity.google/oauth-callback",), "koala73/worldmonitor docs"),
    "Warp": Recorded("warp", ("warp://mcp/oauth2callback",), "warpdotdev/warp#9088"),
    "Raycast": Recorded("raycast", ("https://raycast.com/redirect?packageName=Extension",), "Swiggy manifest#86"),
    "Cline": Recorded("cline", ("vscode://saoudrizwan.claude-dev/mcp-auth/callback/0a1b2c",), "cline#8103"),
    "LibreChat": Recorded(
        "librechat@chat.contoso.com", ("https://chat.contoso.com/api/mcp/entra/oauth/callback",), "librechat.ai#388"
    ),
    "Open WebUI": Recorded(
        "open-webui@ai.contoso.com",
        ("https://ai.contoso.com/oauth/clients/mcp:entra/callback",),
        "Frappe_Assistant_Core#65, plane-mcp-server#220",
    ),
    "n8n": Recorded("n8n@n8n.contoso.com", ("https://n8n.contoso.com/rest/oauth2-credential/callback",), "n8n#21791"),
    "n8n cloud": Recorded("n8n", ("https://oauth.n8n.cloud/oauth2/callback",), "n8n#21791, PR#21808"),
    "Postman": Recorded("postman", ("https://oauth.pstmn.io/v1/callback",), "Swiggy manifest#46"),
    "Le Chat": Recorded(
        "mistral", ("https://callback.mistral.ai/v1/integrations_auth/oauth2_callback",), "odoo-mcp-pro PR#21"
    ),
    "Perplexity": Recorded(
        "perplexity", ("https://www.perplexity.ai/rest/connections/oauth_callback",), "koala73/worldmonitor docs"
    ),
    "Devin": Recorded("devin", ("https://api.devin.ai/mcp/oauth/callback",), "koala73/worldmonitor docs"),
    "Moltis": Recorded("moltis", ("https://localhost:8443/oauth/callback",), "moltis#629"),
    "Posit Workbench": Recorded(
        "posit-workbench@workbench.contoso.com",
        ("https://workbench.contoso.com/oauth_redirect_callback",),
        "positron PR#15752",
    ),
    "systemprompt": Recorded("systemprompt", ("systemprompt://oauth/callback",), "sentry-mcp#214"),
}

ASSUMED = {
    "OpenAI platform": Recorded("defaults", ("https://platform.openai.com/apps-manage/oauth",), "none found"),
    "Raycast, the application": Recorded("raycast", ("raycast://oauth?package_name=Extension",), "Raycast's documents"),
    "Warp, with a server id": Recorded(
        "warp", ("warp://mcp/oauth2callback?server_id=65aebdca-613a-4b60-97d3-92548673bd03",), "warpdotdev/warp#9088"
    ),
    "Windsurf": Recorded("defaults", ("http://127.0.0.1:41234/callback",), "none found"),
}

RECORDED_BODIES: dict[str, dict[str, Any]] = {
    "better-auth#10946": {
        "client_name": "Cursor",
        "redirect_uris": list(RECORDED["Cursor"].redirect_uris),
        "application_type": "web",
    },
    "claude-ai-mcp#453": {"scope": " access_as_user"},
    "typescript-sdk#940": {"client_uri": "", "logo_uri": "", "tos_uri": "", "policy_uri": ""},
    "a report of EDDI about Claude Code": {
        "client_uri": None,
        "logo_uri": None,
        "tos_uri": None,
        "policy_uri": None,
        "jwks_uri": None,
        "contacts": None,
        "jwks": None,
    },
}
"""Registrations by the report that they are from, where it says little of the redirect URIs."""

SYNTHETIC: dict[str, dict[str, Any]] = {
    **{
        f"method {method}": {"token_endpoint_auth_method": method}
        for method in (
            None,
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "client_secret_jwt",
            "tls_client_auth",
            "x",
        )
    },
    **{
        f"application {kind!r}": {"application_type": kind}
        for kind in (None, "", "web", "native", "Native", "spa", "browser", "service", "mobile")
    },
    **{
        f"scope {scope!r}": {"scope": scope}
        for scope in (
            None,
            "",
            "openid email profile offline_access",
            "access_as_user offline_access",
            "access_as_user User.Read",
            "api://22222222-2222-4222-8222-222222222222/access_as_user",
            "Mail.Send",
            ["access_as_user"],
        )
    },
    "no grants": {"grant_types": [], "response_types": []},
    "several responses": {"response_types": ["code", "none"]},
    "empty keys": {"jwks_uri": "", "contacts": []},
    "software": {"software_id": "2e6dc280-f3c9-4e01-99f5-8d4a2b1e6a10", "software_version": "1.0"},
    "statement": {"software_statement": "eyJ.a.b"},
    "logo": {"logo_uri": "data:image/png;base64,AAAA"},
    "large logo": {"logo_uri": "data:image/png;base64," + "A" * 3000},
    "name of all the world": {"client_name": 'Клиент — 日本語 🚀 "Ünï" & <b>'},
    "long name": {"client_name": "N" * 200},
    "no name": {"client_name": None},
    "name in Japanese": {"client_name#ja-Jpan-JP": "クライアント"},
    "OpenID Connect": {
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
        "default_max_age": 3600,
        "require_auth_time": False,
        "initiate_login_uri": "https://x.example/l",
        "request_uris": [],
        "backchannel_logout_uri": None,
        "post_logout_redirect_uris": ["http://localhost:1/x"],
    },
    "DPoP": {"dpop_bound_access_tokens": True},
    "resource": {"resource": "http://localhost:7071/mcp"},
    "twenty redirect URIs": {
        "redirect_uris": [
            f"http://{host}:{port}/callback" for host in ("127.0.0.1", "localhost") for port in range(13316, 13326)
        ]
    },
}

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
