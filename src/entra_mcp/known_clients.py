"""The redirect URIs of well-known clients, by the words that admit them in `MCP_ALLOWED_REDIRECT_URIS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

GROUPS: dict[str, tuple[str, ...]] = {
    # Programs on the user's own machine, on whatever port is free (RFC 8252 section 7.3): Claude Code, MCP Inspector,
    # mcp-remote, VS Code, Codex, Gemini CLI, Kiro, Zed, Goose, and most others.
    "loopback": ("http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"),
    "vscode": ("https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect"),
    "claude": (
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "claude://claude.ai/mcp-auth-callback/sdk",
        "claude://claude.ai/settings/connectors",
    ),
    "chatgpt": (
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "https://chatgpt.com/connector/oauth/*",
        "https://platform.openai.com/apps-manage/oauth",
    ),
    "cursor": (
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
    ),
    # Shared by whoever builds with them, in any tenant, and so not among the defaults: docs/security.md.
    "m365-copilot": ("https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect",),
    "bot-service": ("https://token.botframework.com/.auth/web/redirect",),
    "copilot-studio": (
        "https://global.consent.azure-apim.net/redirect",
        "https://global.consent.azure-apim.net/redirect/*",
    ),
    "cline": ("vscode://saoudrizwan.claude-dev/mcp-auth/callback/*",),
    "warp": ("warp://mcp/oauth2callback", "warp://mcp/oauth2callback?server_id=*"),
    "raycast": (
        "https://raycast.com/redirect?packageName=Extension",
        "com.raycast:/oauth?package_name=Extension",
        "raycast://oauth?package_name=Extension",
    ),
    "postman": ("https://oauth.pstmn.io/v1/callback",),
    "n8n": ("https://oauth.n8n.cloud/oauth2/callback",),
    "mistral": ("https://callback.mistral.ai/v1/integrations_auth/oauth2_callback",),
    "perplexity": ("https://www.perplexity.ai/rest/connections/oauth_callback",),
    "grok": ("https://grok.com/connectors-oauth-exchange-code/", "grokbot://mcp/oauth/callback"),
    "devin": ("https://api.devin.ai/mcp/oauth/callback",),
    "antigravity": ("https://antigravity.google/oauth-callback",),
    "moltis": ("https://localhost:*/oauth/callback",),
    "systemprompt": ("systemprompt://oauth/callback",),
}
"""The redirect URIs of well-known clients, by the word that admits them."""

HOSTED = {
    "n8n": "/rest/oauth2-credential/callback",
    "librechat": "/api/mcp/*/oauth/callback",
    "open-webui": "/oauth/clients/*/callback",
    "posit-workbench": "/oauth_redirect_callback",
}
"""Paths of the redirect URIs of clients on a host of one's own, which follows their word: `n8n@n8n.contoso.com`."""

DEFAULTS = ("loopback", "vscode", "claude", "chatgpt", "cursor")
"""What `defaults` stands for: clients that the person who is asked for consent uses, as far as a URI can show."""


def redirect_patterns(setting: Iterable[str]) -> list[str]:
    """Returns the patterns of the setting, with those of well-known clients for the words that name them."""
    patterns: list[str] = []
    for entry in setting:
        word, _, host = entry.partition("@")
        if entry == "defaults":
            patterns += redirect_patterns(DEFAULTS)
        elif entry in GROUPS:
            patterns += GROUPS[entry]
        elif word in HOSTED and host and "/" not in host:
            patterns.append(f"https://{host}{HOSTED[word]}")
        else:
            patterns.append(entry)
    return patterns
