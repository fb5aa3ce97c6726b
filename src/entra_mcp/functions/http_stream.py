"""The web extension through which the Functions runtime streams HTTP to an ASGI application, both ways.

The runtime finds the classes below through the metaclasses of azurefunctions-extensions-base, which wants all of them
in one module. Threat: the id that ties a request to its invocation comes in a header. Whoever reaches this port with a
missing, invented or repeated id gets an answer soon, and never the answer to somebody else's request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, ClassVar, cast

import uvicorn
from azure_functions_runtime import invocation_id_cv
from azure_functions_runtime.http_v2 import HttpV2Registry, http_coordinator
from azurefunctions.extensions import base
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from entra_mcp.functions.invocations import InvocationAlreadyOpen, OpenInvocations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from contextvars import ContextVar

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    CatchAll = Callable[[Request], Awaitable[object]]

__all__ = ["AppResponse", "Request", "WebApp", "WebServer"]

INVOCATION_ID_HEADER = "x-ms-invocation-id"
ARRIVAL_SECONDS = 30.0
"""How long a request waits for its invocation, and an invocation for its request; the host sends both at once."""
ANSWER_SECONDS = 230.0
"""How long a function may take to return its response; Azure's front end gives up on a silent one at about 230 s."""
KEEP_ALIVE_SECONDS = 300
"""Longer than the host keeps idle connections, so that it never writes a request into one that is just closing."""

logger = logging.getLogger(__name__)


class AppResponse(Response):
    """The answer of a whole ASGI application to the request that the function was called for."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class ProxiedRequest(Request):
    """The request as the function gets it; knows when the runtime has handed it over."""

    def __init__(self, scope: Scope, receive: Receive, *, on_taken: Callable[[], None]) -> None:
        # A copy, so that the route parameters of the function stay invisible to the application behind it.
        super().__init__(dict(scope), receive)
        self._on_taken = on_taken

    def take(self, route_params: Mapping[str, str]) -> None:
        self.scope["path_params"] = dict(route_params)
        self._on_taken()


class _Synchronizer(base.RequestSynchronizer):
    def sync_route_params(self, request: ProxiedRequest, path_params: Mapping[str, str]) -> None:
        request.take(path_params)


class RequestTracker(metaclass=base.RequestTrackerMeta):
    """Tells the runtime which annotation marks a streamed request, and how it gets its route parameters."""

    request_type = Request
    synchronizer = _Synchronizer()


class ResponseTracker(metaclass=base.ResponseTrackerMeta):
    """Tells the runtime which annotation marks a streamed response."""

    label = base.ResponseLabels.STANDARD
    response_type = Response


class WebApp(base.WebApp):
    """Takes the proxied requests, and runs the response that the invocation of each returns."""

    def __init__(self, *, arrival_seconds: float = ARRIVAL_SECONDS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._arrival_seconds = arrival_seconds
        self._answer_seconds = answer_seconds
        self.invocations = OpenInvocations(http_coordinator, patience=arrival_seconds)

    def route(self, func: CatchAll) -> CatchAll:
        """Called by the runtime with the coroutine that waits for an invocation's result."""
        self._catch_all = func
        return func

    def get_app(self) -> ASGIApp:
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match Headers(scope=scope).getlist(INVOCATION_ID_HEADER):
            case [invocation_id] if invocation_id:
                # Log filters, tools and background tasks of this request can tell which invocation they belong to.
                cast("ContextVar[str | None]", invocation_id_cv).set(invocation_id)
                response = await self._response(invocation_id, scope, receive)
            case _:
                response = _problem(400, "This address serves the Functions host only.")
        await _run(response, scope, receive, send)

    async def _response(self, invocation_id: str, scope: Scope, receive: Receive) -> Response:
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(self._arrival_seconds)
        request = ProxiedRequest(scope, receive, on_taken=lambda: limit.reschedule(loop.time() + self._answer_seconds))
        try:
            with self.invocations.claim(invocation_id):
                async with limit:
                    response = await self._catch_all(request)
        except InvocationAlreadyOpen:
            return _problem(409, "Another request has the same invocation id.")
        except Exception:
            if limit.expired():
                logger.warning("No result for invocation %s in time.", invocation_id)
                return _problem(503, "The function did not answer in time.", headers={"retry-after": "1"})
            logger.exception("Invocation %s failed.", invocation_id)
            return _problem(502, "The function failed.")
        if not isinstance(response, Response):
            logger.error("Invocation %s returned %s, not a Response.", invocation_id, type(response).__name__)
            return _problem(502, "The function failed.")
        return response


class WebServer(base.WebServer):
    """Listens where the runtime says, and starts what wants to be ready before the first request."""

    _starters: ClassVar[list[Callable[[], object]]] = []

    def __init__(self, hostname: str, port: int, web_app: WebApp) -> None:
        super().__init__(hostname, port, web_app)  # pyright: ignore[reportUnknownMemberType] - not annotated
        self._app = web_app
        self._address = (hostname, port)

    @classmethod
    def on_start(cls, starter: Callable[[], object]) -> None:
        """Call `starter`, which must not block, as soon as the worker's loop runs a server.

        The runtime constructs the server itself and shares nothing with the function app, hence the class.
        """
        cls._starters.append(starter)

    async def serve(self) -> None:
        for starter in self._starters:
            starter()
        host, port = self._address
        server = _Server(
            uvicorn.Config(
                self._app,
                host=host,
                port=port,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                date_header=False,  # the host adds one where the application sends none
                proxy_headers=False,  # the application decides itself which forwarded headers it trusts
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        sweeper = asyncio.create_task(self._app.invocations.expire())
        try:
            await server.serve()
        finally:
            sweeper.cancel()


class _Server(uvicorn.Server):
    """Leaves the process's signals to the worker, whose process it is."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


# A placeholder process that was started before it had an app has asked for a web extension then, and would go on
# believing that there is none.
HttpV2Registry._http_v2_enabled_checked = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way


async def _run(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    started = complete = False

    async def tracking_send(message: Message) -> None:
        nonlocal started, complete
        started = True
        complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await send(message)

    try:
        await response(scope, receive, tracking_send)
    except Exception:
        logger.exception("The application failed.")
        if not started:
            await _problem(500, "Internal server error.")(scope, receive, send)
        elif not complete:
            raise  # the server cuts the connection, so nobody takes half an answer for a whole one


def _problem(status: int, message: str, headers: dict[str, Any] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)
