"""The host's own routes below /admin, as far as a laptop needs them.

Threat: they are open, as with Core Tools. A page in the developer's browser must not reach them all the same: a foreign
name in `Host` (DNS rebinding; local/loopback/host_header.py) and any request that a browser marks with `Origin` are
refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.host.state import AppState, Broken, Running
from local.host.timers import timer_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from local.host.messages import Function

LARGEST_INPUT = 2**20


class Admin:
    """Answers requests whose path starts with /admin."""

    def __init__(self, *, state: AppState) -> None:
        self._state = state
        self._started_at = time.monotonic()
        self._fired: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if "origin" in request.headers:
            return _error(403, "The administrative routes are not for browsers.")
        match request.method, request.url.path.strip("/").split("/")[1:]:
            case (("GET" | "HEAD"), ["host", "status"]):
                return self._status()
            case (("GET" | "HEAD" | "POST"), ["host", "ping"]):
                return Response()
            case "GET", ["functions"]:
                return self._functions(await self._state.settled())
            case "GET", ["functions", name]:
                return self._function(await self._state.settled(), name)
            case "POST", ["functions", name]:
                return await self._fire(request, await self._state.settled(), name)
            case _:
                return Response(status_code=404)

    def _status(self) -> Response:
        """For readiness checks: 200 when the app answers, 503 while it starts, 500 when only a change can help it."""
        uptime = int((time.monotonic() - self._started_at) * 1000)
        match self._state.current:
            case Running():
                return JSONResponse({"state": "Running", "version": "4.0", "processUptime": uptime})
            case Broken(errors=errors):
                return JSONResponse({"state": "Error", "errors": errors, "processUptime": uptime}, 500)
            case _:
                return JSONResponse({"state": "Initialized", "processUptime": uptime}, 503)

    def _functions(self, state: Running | Broken) -> Response:
        return JSONResponse([_description(f) for f in state.functions] if isinstance(state, Running) else [])

    def _function(self, state: Running | Broken, name: str) -> Response:
        function = _find(state, name)
        return JSONResponse(_description(function)) if function else Response(status_code=404)

    async def _fire(self, request: Request, state: Running | Broken, name: str) -> Response:
        function = _find(state, name)
        if function is None or not isinstance(state, Running):
            return Response(status_code=404)
        if function.trigger["type"] == "httpTrigger":
            return _error(400, "This function has an address of its own; call that.")
        try:
            data = await _input(request)
        except ValueError as error:
            return _error(400, str(error))
        if function.trigger["type"] == "timerTrigger":
            data = timer_data()
        task = asyncio.create_task(self._state.fire(state, function, data))
        self._fired.add(task)
        task.add_done_callback(self._fired.discard)
        return Response(status_code=202)


async def _input(request: Request) -> str:
    """`{"input": "..."}`, or nothing at all."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_INPUT:
            raise ValueError("The body is too large.")
    if not body.strip():
        return ""
    document: object = json.loads(body)
    value = cast("dict[str, object]", document).get("input", "") if isinstance(document, dict) else None
    if not isinstance(value, str):
        raise ValueError('The body must look like {"input": "text"}.')  # noqa: TRY004 - the value came from outside
    return value


def _find(state: Running | Broken, name: str) -> Function | None:
    functions: Iterable[Function] = state.functions if isinstance(state, Running) else ()
    return next((function for function in functions if function.name.lower() == name.lower()), None)


def _description(function: Function) -> dict[str, object]:
    return {"name": function.name, "language": "python", "config": {"bindings": function.bindings}}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
