"""Bounds request bodies in size and time, and reads what is left of one before an answer to it starts.

Threat: one body that never ends, or a thousand that come byte by byte, fill the memory of an instance
(https://cwe.mitre.org/data/definitions/770.html). A body is counted while it arrives, whatever length it was declared
to have, so nothing has been parsed when it is refused.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from entra_mcp.request import REQUEST
from entra_mcp.web.answers import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DISCARDED_BYTES = 100 * 1024 * 1024
"""The Functions host takes no larger body."""


LINGERING_SECONDS = 2.0
"""How long a sender who is not done has for reading its answer before the connection is closed."""


class UnreadBody:
    """Reads and discards the rest of a body before an answer starts (RFC 9112 section 9.6).

    A connection that is closed over an unread body is reset, and takes the answer with it: the forwarder of the
    Functions host then tries again without the body, and its client gets an empty 500. What exceeds `max_bytes` or
    `seconds` is answered all the same, and its connection closed a moment later. A client that waits for `100 Continue`
    is not told to send what nobody reads.
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
    """Answers 413 to bodies over `max_bytes`, and 408 to those that take longer than `seconds`.

    The application begins when the body is there, so that its own time limits mean its own time. Under the `streamed`
    paths, each with a limit of its own, it begins at once and reads for itself: what it refuses unread costs no memory.
    It is cancelled when its body is refused, or breaks off.
    """

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, streamed: Mapping[str, int] | None = None, seconds: float
    ) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._streamed = dict(streamed or {})
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        streamed = scope["path"] in self._streamed
        limit = self._streamed[scope["path"]] if streamed else self._max_bytes
        body = _Body(scope, receive, send, limit=limit, seconds=self._seconds)
        if _declared(scope) > limit:
            await body.refuse_size()
            return
        try:
            async with body.application:
                if not streamed:
                    await body.read()
                await self.app(scope, body.receive, send)
        except TimeoutError:
            if not body.application.expired():
                raise


class _Body:
    """The body of one request on its way to the application."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, limit: int, seconds: float) -> None:
        self.limit = limit
        self.application = asyncio.timeout(None)
        """Ends when the body is refused or breaks off, and with it the application."""
        self._scope = scope
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._deadline: float | None = None
        self._size = 0
        self._complete = False
        self._read: Message | None = None

    async def read(self) -> None:
        """Reads all of it, for the application to receive in one piece."""
        pieces = bytearray()
        while not self._complete:
            pieces += (await self.receive()).get("body", b"")
        self._read = {"type": "http.request", "body": bytes(pieces), "more_body": False}

    async def receive(self) -> Message:
        if self._read is not None:
            read, self._read = self._read, None
            return read
        if self._complete:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            await self._refuse(408, "request_timeout", f"The body did not arrive within {self._seconds:g} seconds.")
            return await self._end_application()
        if message["type"] == "http.disconnect":
            return await self._end_application()
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._size > self.limit:
            await self.refuse_size()
            return await self._end_application()
        return message

    async def refuse_size(self) -> None:
        await self._refuse(413, "request_too_large", f"The body of this request may have {self.limit} bytes.")

    async def _refuse(self, status: int, error: str, description: str) -> None:
        request = REQUEST.get()
        if request is None or request.answer is None:
            await refusal(status, error, description)(self._scope, self._receive, self._send)

    async def _end_application(self) -> Message:
        self.application.reschedule(0)
        return await asyncio.get_running_loop().create_future()


def _declared(scope: Scope) -> int:
    """The length that the request names, 0 without one; digits enough to be too many are cut off."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length[:20]) if length.isdecimal() else 0
