"""Bounds request bodies in size, in time and in values, and reads what is left of one before an answer to it starts.

Threat: one body that never ends, or a thousand that come byte by byte, fill the memory of an instance
(https://cwe.mitre.org/data/definitions/770.html). A body is counted while it arrives, whatever length it was declared
to have, so nothing has been parsed when it is refused.

Threat: JSON of very many values fails validation in as many places, each of which the error then describes. One call
takes seconds of the processor and hundreds of megabytes, while everybody else whom the instance serves waits. So the
values of a message are counted before the MCP library works on it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any, cast

import pydantic_core
from mcp.types import INVALID_REQUEST, PARSE_ERROR
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from entra_mcp.request import REQUEST
from entra_mcp.web.answers import oauth_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from entra_mcp.web.step_up import StepUp

    Check = Callable[[bytes], Awaitable[Response | None]]

DISCARDED_BYTES = 100 * 1024 * 1024
"""The Functions host takes no larger body."""

PAUSE_SECONDS = 3.0
"""How long a sender may pause whose body nobody wants: each holds one of the instance's invocations meanwhile."""

LINGERING_SECONDS = 2.0
"""How long a sender who is not done has for reading its answer before the connection is closed."""

MAX_DEPTH = 64
"""How many arrays and objects may contain each other."""

MAX_REPEATED = 2048
"""How many characters something may have that an error repeats: a method, an id, a name, a URI, a cursor."""

REPEATED = ("name", "uri", "cursor")

PARSE_FAILED = "Parse error: the body is not JSON in UTF-8"
NO_MESSAGE = "Invalid request: the body must be one JSON-RPC 2.0 message whose id, if any, is a string or an integer"
TOO_LONG = f"Invalid request: a method, an id, a name, a URI or a cursor may have {MAX_REPEATED} characters"


class UnreadBody:
    """Reads and discards the rest of a body before an answer starts (RFC 9112 section 9.6).

    A connection that is closed over an unread body is reset, and takes the answer with it: the forwarder of the
    Functions host then tries again without the body, and its client gets an empty 500. A body that exceeds `max_bytes`
    or `seconds`, or pauses, is answered all the same, and its connection closed a moment later. A client that waits for
    `100 Continue` is not asked to send what nobody reads.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = DISCARDED_BYTES, seconds: float) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        complete = closing = False
        begun = "100-continue" not in Headers(scope=scope).get("expect", "").lower()

        async def reading() -> Message:
            nonlocal begun, complete
            begun = True
            message = await receive()
            complete = complete or message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def discard(*, max_bytes: float, seconds: float) -> None:
            size = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not complete and size <= max_bytes:
                        async with asyncio.timeout(PAUSE_SECONDS):
                            size += len((await reading()).get("body", b""))

        async def answer(message: Message) -> None:
            nonlocal closing
            if message["type"] == "http.response.start" and not complete:
                if begun and _declared(scope) <= self._max_bytes:
                    await discard(max_bytes=self._max_bytes, seconds=self._seconds)
                closing = not complete
                if closing:
                    MutableHeaders(scope=message)["Connection"] = "close"
            elif closing and not message.get("more_body", False):
                # The client can see that the answer is whole; its end, at which the connection is closed, waits.
                await send({**message, "more_body": True})
                await discard(max_bytes=inf, seconds=min(self._seconds, LINGERING_SECONDS))
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, reading, answer)


class BodyLimit:
    """Answers 413 to bodies over `max_bytes`, 408 to those that take longer than `seconds`, and what `check` refuses.

    The application gets a body in one piece. It begins when the body is there, so that its own time limits mean its own
    time. With `on_demand` it begins at once, and the body is read when it asks: one that it refuses unread costs no
    memory. It is cancelled when its body is refused, or breaks off.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        seconds: float,
        on_demand: bool = False,
        check: Check | None = None,
    ) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._on_demand = on_demand
        self._check = check or _admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, max_bytes=self._max_bytes, seconds=self._seconds, check=self._check)
        refused = body.too_large() if _declared(scope) > self._max_bytes else None
        if refused is None:
            try:
                async with body.application:
                    if not self._on_demand:
                        await body.read()
                    await self.app(scope, body.receive, send)
            except TimeoutError:
                if not body.application.expired():
                    raise
            refused = body.refused
        request = REQUEST.get()
        if refused is not None and (request is None or request.answer is None):
            await refused(scope, receive, send)


class _Body:
    """The body of one request on its way to the application."""

    def __init__(self, receive: Receive, *, max_bytes: int, seconds: float, check: Check) -> None:
        self.application = asyncio.timeout(None)
        """Ends when the body is refused or breaks off, and with it the application."""
        self.refused: Response | None = None
        self._receive = receive
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._check = check
        self._read: Message | None = None
        self._complete = False

    async def read(self) -> None:
        """Reads all of it, for the application to receive."""
        self._read = await self.receive()

    async def receive(self) -> Message:
        """Returns all of it, then whatever comes after it.

        Ends the application, and does not return, when the body is refused or breaks off.
        """
        if self._read is not None:
            read, self._read = self._read, None
            return read
        if self._complete:
            return await self._receive()
        pieces, more = bytearray(), True
        request = REQUEST.get()
        silence = request.silence if request else None
        if silence is not None:
            # How fast the sender is says nothing of what the server depends on.
            silence.paused = True
        try:
            async with asyncio.timeout(self._seconds):
                while more and len(pieces) <= self._max_bytes:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        return await self._end_application()
                    pieces += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            described = f"The body did not arrive within {self._seconds:g} seconds."
            self.refused = oauth_error(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", described)
            return await self._end_application()
        if silence is not None:
            silence.paused = False
        body, self._complete = bytes(pieces), True
        self.refused = self.too_large() if len(body) > self._max_bytes else await self._check(body)
        if self.refused is not None:
            return await self._end_application()
        return {"type": "http.request", "body": body, "more_body": False}

    def too_large(self) -> Response:
        described = f"The body of this request may have {self._max_bytes} bytes."
        return oauth_error(HTTPStatus.CONTENT_TOO_LARGE, "request_too_large", described)

    async def _end_application(self) -> Message:
        self.application.reschedule(0)
        return await asyncio.get_running_loop().create_future()


async def _admit(_body: bytes) -> None:
    """Refuses no body."""


def _declared(scope: Scope) -> int:
    """The length that the request names, 0 without one; digits enough to be too many are cut off."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length[:20]) if length.isdecimal() else 0


class MessageCheck:
    """Answers 413 to a message of more than `max_values` JSON values, and 400 to what is no message of JSON-RPC."""

    def __init__(self, *, max_values: int, step_up: StepUp | None = None) -> None:
        """`step_up` looks at each call of a tool."""
        self._max_values = max_values
        self._step_up = step_up

    async def __call__(self, body: bytes) -> Response | None:
        """Returns the refusal of the body; None when the library may have it."""
        try:
            message = pydantic_core.from_json(body)
        except ValueError:
            return _message_error(PARSE_ERROR, PARSE_FAILED)
        # Each value but the outermost follows a comma or an opening bracket; most messages have few of them.
        opened = body.count(b"[") + body.count(b"{")
        few = opened <= MAX_DEPTH and opened + body.count(b",") < self._max_values
        if not (few or _is_within_bounds(message, max_values=self._max_values)):
            described = f"A message may have {self._max_values} values, {MAX_DEPTH} deep in each other."
            return oauth_error(HTTPStatus.CONTENT_TOO_LARGE, "request_too_large", described)
        members = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
        message_id, method, params = members.get("id", 0), members.get("method", ""), members.get("params", {})
        if members.get("jsonrpc") != "2.0" or not isinstance(method, str) or not isinstance(params, dict):
            return _message_error(INVALID_REQUEST, NO_MESSAGE)
        # The library would take another id for none, and the request for a notification, which nobody answers.
        if isinstance(message_id, bool) or not isinstance(message_id, int | str):
            return _message_error(INVALID_REQUEST, NO_MESSAGE)
        repeated = [message_id, method]
        repeated += [cast("dict[str, Any]", params).get(name) for name in REPEATED]
        if any(isinstance(each, str) and len(each) > MAX_REPEATED for each in repeated):
            return _message_error(INVALID_REQUEST, TOO_LONG)
        if self._step_up is not None and method == "tools/call":
            return await self._step_up(cast("dict[str, Any]", params))
        return None


def _is_within_bounds(message: object, *, max_values: int) -> bool:
    """Looks at one depth after the other, and stops at the first that has too many values."""
    count, values = 1, [message]
    for _ in range(MAX_DEPTH + 1):
        containers = [cast("dict[str, Any] | list[Any]", each) for each in values if isinstance(each, dict | list)]
        count += sum(map(len, containers))
        if not containers or count > max_values:
            return count <= max_values
        values = [each for held in containers for each in (held.values() if isinstance(held, dict) else held)]
    return False


def _message_error(code: int, message: str) -> Response:
    content = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return JSONResponse(content, status_code=HTTPStatus.BAD_REQUEST)
