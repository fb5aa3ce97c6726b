"""The redirect URIs that clients may register.

Registration is open to anyone (RFC 7591), so this list is what keeps a stranger from registering a client that looks
like yours and sends the authorization code to a site of theirs (RFC 9700 section 4.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

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


def is_allowed(uri: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern admits the URI.

    `*` in a pattern stands for a port, or for part of one segment of the path; all else has to be the same, the query
    included. A pattern without a path, which only loopback may have, admits any path. What browsers and servers might
    read in another way (a fragment, a user name, dot segments, backslashes, control characters) is never admitted.
    """
    if (
        not uri.isascii()
        or not uri.isprintable()
        or re.search(r"[\\\s]|#|/\.{1,2}(/|$)|%2e|%2f|%5c", uri, re.IGNORECASE)
    ):
        return False
    parts = _split(uri)
    return parts is not None and "@" not in parts.netloc and any(_matches(parts, pattern) for pattern in patterns)


def _matches(uri: SplitResult, pattern: str) -> bool:
    wanted = urlsplit(pattern.replace(":*", ":0", 1))
    if (uri.scheme, uri.hostname, uri.query) != (wanted.scheme, wanted.hostname, wanted.query):
        return False
    if ":*" not in pattern and uri.port != wanted.port:
        return False
    if not wanted.path:
        return True
    return re.fullmatch(re.escape(wanted.path).replace(r"\*", "[^/]+"), uri.path) is not None


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    # Python takes `[::1]evil.example` for the host `::1`.
    strange = "]" in parts.netloc and not re.fullmatch(r"\[[0-9a-fA-F:]+\](:\d+)?", parts.netloc)
    return parts if parts.scheme and port != 0 and not strange else None
