"""What answers while the server itself cannot: before it has started, and after its start failed."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from entra_mcp.errors import DependencyError, SettingsError
from entra_mcp.web.answers import NO_STORE, unavailable
from entra_mcp.web.health import not_ready
from entra_mcp.web.paths import READINESS
from entra_mcp.web.stack import protect_without_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

NOT_STARTED = "The server could not start. Try again in a moment; its log says why."


async def _alive(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] in {"GET", "HEAD"}:
        response = JSONResponse({"status": "alive"}, headers=NO_STORE)
    else:
        response = JSONResponse(
            {"error": "method_not_allowed"}, status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"}
        )
    await response(scope, receive, send)


alive = protect_without_settings(_alive)
"""Serves `/healthz`, whether or not the server has started, and touches nothing else."""


def startup_failed(error: Exception) -> ASGIApp:
    """Returns what answers requests after a failed start: 503, and on `/readyz` the name of what is to blame.

    The details are in the log alone: a setting's name or an address would help an attacker more than a user.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        probed = scope["path"] == READINESS
        response = not_ready(frozenset({_component(error)})) if probed else unavailable(NOT_STARTED)
        await response(scope, receive, send)

    return protect_without_settings(app)


def _component(error: Exception) -> str:
    match error:
        case DependencyError():
            return error.component
        case SettingsError():
            return "settings"
        case _:
            return "server"
