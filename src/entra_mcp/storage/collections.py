"""The names of those collections of FastMCP's OAuth proxy that something asks for; docs/storage.md describes all."""

from __future__ import annotations

REGISTRATIONS = "mcp-oauth-proxy-clients"
TRANSACTIONS = "mcp-oauth-transactions"
CONSENT_PAGES = "mcp-consent-csrf-tokens"
AUTHORIZATION_CODES = "mcp-authorization-codes"
UPSTREAM_TOKENS = "mcp-upstream-tokens"
TOKEN_MAPPINGS = "mcp-jti-mappings"  # noqa: S105 - the name of a collection
REFRESH_TOKENS = "mcp-refresh-tokens"
