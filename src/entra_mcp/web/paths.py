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

WELL_KNOWN = "/.well-known/"
