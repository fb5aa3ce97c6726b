"""The host's front: takes every request, and decides who answers it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, Response

from local.host.forward import Exchange, ForwardingFailed
from local.host.state import AppState, Broken, Running
from local.host.upstream import WorkerConnectionLost
from local.loopback.host_header import LoopbackHost

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.host.admin import Admin
    from local.host.keys import HostKeys

START_SECONDS = 120.0
"""How long a request waits for a worker that starts; indexing may take two minutes in Azure as well."""
PROBED = ("/admin/host/", "/healthz")
"""What supervisors ask again and again; not worth a line in the log."""
HOME_PAGE = "<!doctype html><title>Functions</title><h1>Your Functions app is up and running</h1>"

logger = logging.getLogger(__name__)


class Front:
    """The ASGI application behind the public port."""

    def __init__(self, *, state: AppState, admin: Admin, keys: HostKeys, home_page: bool) -> None:
        self._state = state
        self._admin = LoopbackHost(admin)
        self._keys = keys
        self._home_page = home_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        path = scope["raw_path"].decode("latin-1")
        status: int | str = "broken off"
        try:
            status = await self._answer(scope, receive, send)
        except WorkerConnectionLost:
            raise  # the server cuts the connection to the client as well
        except Exception:
            logger.exception("The host failed.")
            raise
        finally:
            took = (time.perf_counter() - started) * 1000
            # Never the query: it can hold authorization codes and keys.
            level = logging.DEBUG if path.startswith(PROBED) else logging.INFO
            logger.log(level, "%s %s -> %s (%.0f ms)", scope["method"], path, status, took)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> int | str:
        path: bytes = scope["raw_path"]
        if not path.startswith(b"/"):
            return await _respond(Response(status_code=400), scope, receive, send)
        if path.lower().split(b"/")[1] == b"admin":
            return await _respond(self._admin, scope, receive, send)
        state = await self._settled()
        if not isinstance(state, Running):
            unavailable = JSONResponse({"error": "The function app is not running."}, 503, {"retry-after": "2"})
            return await _respond(unavailable, scope, receive, send)
        found = state.routes.find(scope["method"], path)
        if found is None:
            return await _respond(self._nobody(scope["path"]), scope, receive, send)
        route, params = found
        if not self._keys.allow(route.auth_level, headers=scope["headers"], query=scope["query_string"]):
            return await _respond(Response(status_code=401), scope, receive, send)
        if state.worker.upstream is None:
            problem = JSONResponse({"error": "This host serves HTTP functions through HTTP streams only."}, 501)
            return await _respond(problem, scope, receive, send)
        invocation = state.worker.invoke(route.function, kind="http", params=params)
        exchange = Exchange(
            scope=scope, receive=receive, send=send, upstream=state.worker.upstream, invocation_id=invocation.id
        )
        try:
            with self._state.request():
                await exchange.run(invocation.ended)
        except ForwardingFailed as error:
            return await _respond(JSONResponse({"error": str(error)}, error.status), scope, receive, send)
        return exchange.status or "client gone"

    async def _settled(self) -> Running | Broken | None:
        try:
            return await asyncio.wait_for(self._state.settled(), START_SECONDS)
        except TimeoutError:
            return None

    def _nobody(self, path: str) -> Response:
        if path != "/":
            return Response(status_code=404)
        return HTMLResponse(HOME_PAGE) if self._home_page else Response(status_code=204)


async def _respond(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> int:
    """Let a response or an application answer; returns the status."""
    status = 0

    async def noted(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        await send(message)

    await app(scope, receive, noted)
    return status
