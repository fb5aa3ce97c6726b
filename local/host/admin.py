"""The host's own routes: is it ready, and run this function now.

Threat: they are open, as with Core Tools. A page in the developer's browser must not reach them all the same: a foreign
name in `Host` (DNS rebinding; local/loopback/host_header.py) and any request that a browser marks with `Origin` are
refused.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.host.errors import AppBrokenError
from local.host.state import AppState, Running

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

OWN_PATHS = re.compile(r"/+(admin/(host|functions)|runtime/webhooks)(/.*)?", re.IGNORECASE)


class Admin:
    """Answers requests for OWN_PATHS."""

    def __init__(self, *, state: AppState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if "origin" in request.headers:
            return Response("These routes are not for browsers.", HTTPStatus.FORBIDDEN)
        match request.method, request.url.path.strip("/").split("/"):
            case _, ["runtime", *_]:
                return Response(status_code=HTTPStatus.UNAUTHORIZED)
            case (("GET" | "HEAD"), ["admin", "host", "status"]):
                return self._status()
            case "POST", ["admin", "functions", name]:
                return await self._fire(name, request.headers.get("content-type", ""))
            case _:
                return Response(status_code=HTTPStatus.NOT_FOUND)

    def _status(self) -> Response:
        """For readiness checks: 200 when the app answers, 503 while it starts, 500 when only a change can help it."""
        match self._state.current:
            case Running():
                return JSONResponse({"state": "Running", "droppedLogLines": self._state.log.dropped})
            case AppBrokenError() as broken:
                return JSONResponse({"state": "Error", "errors": [broken.message]}, HTTPStatus.INTERNAL_SERVER_ERROR)
            case _:
                return JSONResponse({"state": "Initialized"}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _fire(self, name: str, content_type: str) -> Response:
        if content_type.partition(";")[0].strip() != "application/json":
            return Response(status_code=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        state = await self._state.settled()
        if not isinstance(state, Running):
            return not_running()
        if name not in state.timers:
            return Response("No timer has this name; only timers can be run from here.", HTTPStatus.NOT_FOUND)
        state.timers[name].fire()
        return Response(status_code=HTTPStatus.ACCEPTED)


def not_running() -> Response:
    """For a request that the app would have to answer, which is broken or does not come up."""
    return Response("The function app is not running.", HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "2"})
