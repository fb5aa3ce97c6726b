"""Bounds request bodies in size and time.

Threat: one body that never ends, or a thousand that come byte by byte, fill the memory of an instance
(https://cwe.mitre.org/data/definitions/770.html). A body is counted while it arrives, whatever length it was declared
to have, so nothing has been parsed when it is refused.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from entra_mcp.web.answers import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DISCONNECT: Message = {"type": "http.disconnect"}

logger = logging.getLogger(__name__)


class BodyLimit:
    """Answers 413 to bodies over `max_bytes`, and 408 to those that take longer than `seconds`.

    The application begins when the body is there, so that its own time limits mean its own time. Under the `streamed`
    paths, each with a limit of its own, it begins at once and reads for itself: what it refuses unread costs no memory.
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
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > limit:
            await body.refuse_size()
            return
        if not streamed and not await body.read():
            return
        try:
            await self.app(scope, body.receive, body.send)
        except Exception:
            if not body.refused:
                raise
            # Whatever the application makes of a body that breaks off, its client has been answered.
            logger.debug("The request was given up after its body had been refused.", exc_info=True)


class _Body:
    """The body of one request on its way to the application; once it is refused, the application is cut off."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, limit: int, seconds: float) -> None:
        self.limit = limit
        self.refused = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._deadline: float | None = None
        self._size = 0
        self._complete = False
        self._answering = False
        self._read: Message | None = None

    async def read(self) -> bool:
        """Reads all of it, for the application to receive in one piece; False when it was refused or broke off."""
        pieces = bytearray()
        while not self._complete:
            message = await self.receive()
            if message["type"] != "http.request":
                return False
            pieces += message.get("body", b"")
        self._read = {"type": "http.request", "body": bytes(pieces), "more_body": False}
        return True

    async def receive(self) -> Message:
        if self.refused:
            return DISCONNECT
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
            return DISCONNECT
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        if self._size > self.limit:
            await self.refuse_size()
            return DISCONNECT
        return message

    async def send(self, message: Message) -> None:
        if not self.refused:
            self._answering = True
            await self._send(message)

    async def refuse_size(self) -> None:
        await self._refuse(413, "request_too_large", f"The body of this request may have {self.limit} bytes.")

    async def _refuse(self, status: int, error: str, description: str) -> None:
        # The connection cannot be used again: what is left of the body would be taken for the next request.
        if not self._answering:
            response = refusal(status, error, description, headers={"Connection": "close"})
            await response(self._scope, self._receive, self._send)
        self.refused = True
