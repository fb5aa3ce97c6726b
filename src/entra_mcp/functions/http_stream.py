"""The web extension through which the Functions runtime streams HTTP to an ASGI application, both ways.

The runtime finds the classes below through the metaclasses of azurefunctions-extensions-base, which wants all of them
in one module. Threat: the id that ties a request to its invocation comes in a header. Whoever reaches this port with a
missing, invented or repeated id gets an answer soon, and never the answer to somebody else's request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import uvicorn
from azure_functions_runtime.http_v2 import HttpV2Registry
from azurefunctions.extensions import base
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from entra_mcp.errors import EntraMcpError
from entra_mcp.functions.invocations import InvocationGivenUp, InvocationTaken, OpenInvocations
from entra_mcp.functions.log_lines import LogLines, belong_to_no_invocation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    CatchAll = Callable[[Request], Awaitable[object]]

__all__ = ["METHODS", "Request", "Response", "WebApp", "WebServer", "answer"]

INVOCATION_ID_HEADER = "x-ms-invocation-id"
ARRIVAL_SECONDS = 2.0
"""How long a request waits for its invocation, and an invocation for its request.

The host sends both at once. It sends an invocation alone for what it cannot forward, such as a header with other
characters than ASCII; each of those occupies one of the instance's concurrent invocations for so long.
"""
KEEP_ALIVE_SECONDS = 300
"""Longer than the host keeps idle connections, so that it never writes a request into one that is just closing."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What the route takes. CONNECT, which the host would hold for half a minute, is none of them."""

logger = logging.getLogger(__name__)


async def answer(request: Request, app: ASGIApp) -> Response:
    """Answers the request that a function was called for with an ASGI application, and returns when that has ended.

    The application runs inside the invocation: only so does the host take its log lines, and count it as under way.
    """
    if not isinstance(request, ProxiedRequest):
        raise TypeError(f"answer() takes the request of an HTTP function, not {type(request).__name__}")
    await request.run(app)
    return AlreadyAnswered()


class AlreadyAnswered(Response):
    """What a function returns whose request has its answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends nothing."""


class ProxiedRequest(Request):
    """The request as the function gets it; runs an application on the connection that it came over."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        invocation: Callable[[], AbstractContextManager[None]],
        on_taken: Callable[[], None],
    ) -> None:
        # A copy, so that the route parameters of the function stay invisible to the application behind it.
        super().__init__(dict(scope), receive)
        self.started = False
        self._complete = False
        self._gone = False
        self._application_scope = scope
        self._send_on = send
        self._invocation = invocation
        self._on_taken = on_taken

    def take(self, route_params: Mapping[str, str]) -> None:
        """Called by the runtime when it hands the request to the function."""
        self.scope["path_params"] = dict(route_params)
        self._on_taken()

    async def run(self, app: ASGIApp) -> None:
        """Raises what the application raised if its answer is broken off: the server then cuts the connection."""
        with self._invocation():
            try:
                await app(self._application_scope, self._receive_on, self._answer)
            except Exception:
                if not self._gone:
                    logger.exception("The application failed.")
                    if self.started and not self._complete:
                        raise
            if self._gone:
                logger.info("The client left before its answer was complete.")
            elif not self.started:
                await _problem(500, "Internal server error.")(self.scope, self._receive_on, self._answer)

    async def _receive_on(self) -> Message:
        message = await self.receive()
        self._gone = self._gone or (message["type"] == "http.disconnect" and not self._complete)
        return message

    async def _answer(self, message: Message) -> None:
        self.started = True
        self._complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send_on(message)


class RequestAbsent(EntraMcpError):  # noqa: N818 - it names what happened
    """The host began an invocation and did not forward its request; nobody waits for an answer."""


class AbsentRequest:
    """Ends the invocation in the place of a request that did not come, before its function is called."""

    def __init__(self, invocation: Callable[[], AbstractContextManager[None]]) -> None:
        self._invocation = invocation

    def take(self, _: Mapping[str, str]) -> None:
        with self._invocation():
            # The alerts leave out the requests that have this line: they fail in the host, at a stranger's will.
            logger.info("The request of this invocation did not come.")
        raise RequestAbsent("the host did not forward the request of this invocation")


class _Synchronizer(base.RequestSynchronizer):
    def sync_route_params(self, request: ProxiedRequest | AbsentRequest, path_params: Mapping[str, str]) -> None:
        request.take(path_params)


class RequestTracker(metaclass=base.RequestTrackerMeta):
    """Shows the runtime which annotation marks a streamed request, and how it gets its route parameters."""

    request_type = Request
    synchronizer = _Synchronizer()


class ResponseTracker(metaclass=base.ResponseTrackerMeta):
    """Shows the runtime which annotation marks a streamed response."""

    label = base.ResponseLabels.STANDARD
    response_type = Response


class WebApp(base.WebApp):
    """Takes the proxied requests, and gives each to its invocation."""

    def __init__(self, *, arrival_seconds: float = ARRIVAL_SECONDS) -> None:
        self.log_lines = LogLines()
        self.invocations = OpenInvocations(
            patience=arrival_seconds,
            absent=lambda invocation_id: AbsentRequest(partial(self.log_lines.invocation, invocation_id)),
        )

    def route(self, func: CatchAll) -> CatchAll:
        """Called by the runtime with the coroutine that waits for an invocation's result."""
        self._catch_all = func
        return func

    def get_app(self) -> ASGIApp:
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match Headers(scope=scope).getlist(INVOCATION_ID_HEADER):
            case [invocation_id] if invocation_id:
                request = ProxiedRequest(
                    scope,
                    receive,
                    send,
                    invocation=partial(self.log_lines.invocation, invocation_id),
                    on_taken=partial(self.invocations.taken, invocation_id),
                )
                response = await self._response(invocation_id, request)
            case _:
                response = _problem(400, "This address serves the Functions host only.")
        await response(scope, receive, send)

    async def _response(self, invocation_id: str, request: ProxiedRequest) -> Response:
        wait = asyncio.timeout(None)
        try:
            with self.invocations.claim(invocation_id, give_up=lambda: wait.reschedule(0)):
                async with wait:
                    response = await self._catch_all(request)
        except InvocationTaken:
            return _problem(409, "Another request has the same invocation id.")
        except InvocationGivenUp:
            return _too_late()
        except Exception:  # noqa: BLE001 - the edge of the function
            if request.started:
                return AlreadyAnswered()  # half of it, so that the server cuts the connection
            if wait.expired():
                logger.warning("Invocation %s did not come in time.", invocation_id)
                return _too_late()
            return _problem(502, "The function failed.")  # the host has the error from the runtime
        if not isinstance(response, Response):
            logger.error("Invocation %s returned %s, not a Response.", invocation_id, type(response).__name__)
            return _problem(502, "The function failed.")
        return response


class WebServer(base.WebServer):
    """Listens where the runtime says, and starts what wants to be ready before the first request."""

    _starters: ClassVar[list[Callable[[], object]]] = []

    hostname: str
    port: int
    web_app: WebApp

    @classmethod
    def on_start(cls, starter: Callable[[], object]) -> None:
        """Call `starter`, which must not block, as soon as the worker's loop runs a server.

        The runtime constructs the server itself and shares nothing with the function app, hence the class.
        """
        cls._starters.append(starter)

    async def serve(self) -> None:
        belong_to_no_invocation()
        for starter in self._starters:
            starter()
        server = _Server(
            uvicorn.Config(
                self.web_app,
                host=self.hostname,
                port=self.port,
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
        sweeper = asyncio.create_task(self.web_app.invocations.expire())
        logging.getLogger().addHandler(self.web_app.log_lines)
        try:
            await server.serve()
        finally:
            logging.getLogger().removeHandler(self.web_app.log_lines)
            sweeper.cancel()


class _Server(uvicorn.Server):
    """Leaves the process's signals to the worker, whose process it is."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


# A placeholder process that was started before it had an app has asked for a web extension then, and would go on
# believing that there is none.
HttpV2Registry._http_v2_enabled_checked = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way


def _too_late() -> Response:
    return _problem(503, "The function did not answer in time.", headers={"retry-after": "1"})


def _problem(status: int, message: str, headers: dict[str, Any] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)
