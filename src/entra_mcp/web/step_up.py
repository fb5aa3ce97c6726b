"""Answers a call whose token lacks a scope of the tool with what to ask for (RFC 6750 section 3.1, SEP-2350).

https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#scope-challenge-handling wants HTTP 403,
and FastMCP decides when the answer has begun. So this looks before the MCP library has the message. It lets nobody in:
FastMCP decides again.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastmcp.exceptions import AuthorizationError
from fastmcp.server.auth import AuthContext
from fastmcp.server.dependencies import get_access_token
from fastmcp.utilities.authorization import run_auth_checks_with_shortfall
from mcp.server.auth.routes import build_resource_metadata_url
from pydantic import AnyHttpUrl

from entra_mcp.web.answers import oauth_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastmcp.tools import Tool
    from starlette.responses import Response


class StepUp:
    """The challenge for each of `tools`, by name; `requested` turns scopes into what clients ask Entra ID for."""

    def __init__(self, tools: Mapping[str, Tool], *, mcp_url: str, requested: Callable[[list[str]], list[str]]) -> None:
        self._tools = dict(tools)
        self._metadata = build_resource_metadata_url(AnyHttpUrl(mcp_url))
        self._requested = requested

    async def __call__(self, params: Mapping[str, Any]) -> Response | None:
        """Returns the refusal of a call; None when no scope is missing, or when scopes alone would not admit it."""
        name = params.get("name")
        tool, token = self._tools.get(name) if isinstance(name, str) else None, get_access_token()
        if tool is None or tool.auth is None or token is None:
            return None
        try:
            _, missing = await run_auth_checks_with_shortfall(tool.auth, AuthContext(token=token, component=tool))
        except AuthorizationError:
            return None
        if not missing:
            return None
        described = f"The tool needs the scope {' '.join(missing)}."
        # What the token has is named too: a client that asks for what is named alone would lose it.
        scope = " ".join(self._requested([*token.scopes, *missing]))
        challenge = f'error="insufficient_scope", scope="{scope}", resource_metadata="{self._metadata}"'
        return oauth_error(
            HTTPStatus.FORBIDDEN,
            "insufficient_scope",
            described,
            headers={"WWW-Authenticate": f'Bearer {challenge}, error_description="{described}"'},
        )
