"""Which paths belong together."""

from __future__ import annotations

MCP = "/mcp"
REGISTER = "/register"
CONSENT = "/consent"

OAUTH = frozenset({"/authorize", "/token", REGISTER, "/revoke", CONSENT, "/auth/callback"})
"""What answers with codes, tokens, client ids, or a form that leads to them."""

WELL_KNOWN = "/.well-known/"
