"""The host's front: takes every request, and decides who answers it."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from local.host import strict
from local.host.admin import OWN_PATHS, Admin, not_running
from local.host.forward import ForwardedRequest
from local.host.headers import traced
from local.host.process import Invocation
from local.host.state import AppState, Running
from local.host.upstream import WorkerConnectionLost
from local.loopback.host_header import LoopbackHost

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROBED = ("/admin/host/", "/healthz", "/readyz")
"""What supervisors ask again and again; not worth a line in the log."""
CLIENT_GONE = 499

logger = logging.getLogger(__name__)


class Front:
    """The ASGI application behind the public port."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._admin = LoopbackHost(Admin(state=state))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        scope = {**scope, "raw_path": strict.without_dots(scope["raw_path"])}
        path = scope["raw_path"].decode("latin-1")
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            answer = await self._answer(path, scope, receive, noted)
            if answer is not None:
                await answer(scope, receive, noted)
        except WorkerConnectionLost:
            raise  # the server cuts the connection to the client as well
        except Exception:
            logger.exception("The host failed.")
            raise
        finally:
            took = (time.perf_counter() - started) * 1000
            # Never the query: it can hold authorization codes and keys.
            level = logging.DEBUG if path.startswith(PROBED) else logging.INFO
            logger.log(level, "%s %s -> %s (%.0f ms)", scope["method"], path, status or CLIENT_GONE, took)

    async def _answer(self, path: str, scope: Scope, receive: Receive, send: Send) -> ASGIApp | None:
        """What answers; None when the request has been forwarded."""
        if (refused := strict.refusal(scope)) is not None:
            return Response(status_code=refused)
        if OWN_PATHS.fullmatch(path):
            return self._admin
        state = await self._state.settled()
        if not isinstance(state, Running):
            return not_running()
        found = None if path.startswith("//") else state.routes.find(scope["method"], path)
        if found is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        if state.worker.upstream is None:
            return Response("This host serves HTTP functions through HTTP streams only.", 501)
        function, params = found
        operation, flags = traced(scope["headers"])
        invocation = Invocation(
            function=function.name, method=scope["method"], path=path, operation=operation, flags=flags
        )
        state.worker.begin(invocation, function, kind="http", data=params)
        exchange = ForwardedRequest(
            scope=scope, receive=receive, send=send, upstream=state.worker.upstream, invocation=invocation
        )
        request = asyncio.create_task(exchange.run())
        state.requests.add(request)
        request.add_done_callback(state.requests.discard)
        await request
        state.worker.report(invocation, status=exchange.status or CLIENT_GONE)
        return None
