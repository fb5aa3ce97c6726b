"""The paths of the server, and which of them belong together."""

from __future__ import annotations

MCP = "/mcp"
AUTHORIZE = "/authorize"
CALLBACK = "/auth/callback"
CONSENT = "/consent"
REGISTER = "/register"
REVOKE = "/revoke"
TOKEN = "/token"  # noqa: S105 - an endpoint
HEALTH = "/healthz"
READINESS = "/readyz"

OAUTH = frozenset({AUTHORIZE, TOKEN, REGISTER, REVOKE, CONSENT, CALLBACK})
"""What answers with codes, tokens, client ids, or a form that leads to them."""

PROGRAMS = frozenset({TOKEN, REGISTER, REVOKE})
"""What no person opens: its errors are JSON, whatever the program says that it takes (RFC 6749 section 5.2)."""

WELL_KNOWN = "/.well-known/"
