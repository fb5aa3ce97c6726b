"""The host's front: takes every request, and decides who answers it."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from local.host import strict
from local.host.admin import OWN_PATHS
from local.host.forward import Exchange, ForwardingFailed
from local.host.headers import operation_of
from local.host.state import AppState, Broken, Running
from local.host.upstream import WorkerConnectionLost
from local.loopback.host_header import LoopbackHost

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local.host.admin import Admin
    from local.host.process import Invocation

START_SECONDS = 120.0
"""How long a request waits for a worker that starts; indexing may take two minutes in Azure as well."""
PROBED = ("/admin/host/", "/healthz")
"""What supervisors ask again and again; not worth a line in the log."""
CLIENT_GONE = 499

logger = logging.getLogger(__name__)


class Front:
    """The ASGI application behind the public port."""

    def __init__(self, *, state: AppState, admin: Admin) -> None:
        self._state = state
        self._admin = LoopbackHost(admin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        scope = {**scope, "raw_path": strict.without_dots(scope["raw_path"])}
        path = scope["raw_path"].decode("latin-1")
        status: int | str = "broken off"
        try:
            status = await self._answer(path, scope, receive, send)
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

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> int | str:
        if (refused := strict.refusal(scope)) is not None:
            return await _respond(_empty(refused), scope, receive, send)
        if OWN_PATHS.fullmatch(path):
            return await _respond(self._admin, scope, receive, send)
        state = await self._settled()
        if not isinstance(state, Running):
            unavailable = Response("The function app is not running.", 503, {"retry-after": "2"})
            return await _respond(unavailable, scope, receive, send)
        found = None if path.startswith("//") else state.routes.find(scope["method"], path)
        if found is None:
            return await _respond(_empty(HTTPStatus.NOT_FOUND), scope, receive, send)
        route, params = found
        if state.worker.upstream is None:
            problem = Response("This host serves HTTP functions through HTTP streams only.", 501)
            return await _respond(problem, scope, receive, send)
        invocation = state.worker.invoke(
            route.function,
            kind="http",
            params=params,
            operation=operation_of(scope["headers"]),
            method=scope["method"],
            path=path,
        )
        exchange = Exchange(
            scope=scope, receive=receive, send=send, upstream=state.worker.upstream, invocation=invocation
        )
        try:
            with self._state.request():
                if strict.cannot_be_forwarded(scope):
                    await invocation.ended
                    return await self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, invocation, scope, receive, send)
                await exchange.run()
        except ForwardingFailed as error:
            return await self._fail(error.status, invocation, scope, receive, send)
        self._record(invocation, exchange.status or CLIENT_GONE)
        return exchange.status or "client gone"

    async def _fail(self, status: int, invocation: Invocation, scope: Scope, receive: Receive, send: Send) -> int:
        self._record(invocation, status)
        return await _respond(_empty(status), scope, receive, send)

    def _record(self, invocation: Invocation, status: int) -> None:
        invocation.ended.add_done_callback(partial(self._ended, invocation, status))

    def _ended(self, invocation: Invocation, status: int, outcome: asyncio.Future[str | None]) -> None:
        if not outcome.cancelled():
            self._state.ended(invocation, error=outcome.result(), status=status)

    async def _settled(self) -> Running | Broken | None:
        try:
            return await asyncio.wait_for(self._state.settled(), START_SECONDS)
        except TimeoutError:
            return None


def _empty(status: int) -> Response:
    return Response(status_code=status)


async def _respond(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> int:
    """Let a response or an application answer; returns the status."""
    status = 0

    async def noted(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        await send(message)

    await app(scope, receive, noted)
    return status
