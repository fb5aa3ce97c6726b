"""The redirect URIs that clients may register.

Registration is open to anyone (RFC 7591), so this list is what keeps a stranger from registering a client that looks
like yours and sends the authorization code to a site of theirs (RFC 9700 section 4.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN_CLIENTS = (
    # Programs on the user's own machine, on whatever port is free (RFC 8252 section 7.3): Claude Code, MCP Inspector,
    # mcp-remote, VS Code, and most others.
    "http://localhost:*",
    "http://127.0.0.1:*",
    "http://[::1]:*",
    # Visual Studio Code
    "https://vscode.dev/redirect",
    "https://insiders.vscode.dev/redirect",
    # Claude
    "https://claude.ai/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
    # ChatGPT
    "https://chatgpt.com/connector_platform_oauth_redirect",
    "https://chatgpt.com/connector/oauth/*",
    "https://platform.openai.com/apps-manage/oauth",
    # Cursor
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
)


def redirect_patterns(setting: Iterable[str]) -> list[str]:
    """Returns the patterns of the setting, with `defaults` replaced by those of the known clients."""
    patterns: list[str] = []
    for entry in setting:
        patterns.extend(KNOWN_CLIENTS if entry == "defaults" else (entry,))
    return patterns
