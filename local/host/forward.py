"""The streaming reverse proxy: one request to the worker, its response back, both while they are still coming."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import h11

from local.host import headers as header_rules
from local.host.upstream import Connection, Upstream, WorkerConnectionLost

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from local.host.process import Invocation

ACTIVITY_SECONDS = 240.0
"""The real host's limit on the time in which nothing moves in either direction."""
RESET_SECONDS = 0.3
"""How soon a connection is reset that is going to be."""
FAILURE_GRACE_SECONDS = 1.0
"""After a failed invocation: how long the worker may take to send the answer it has for that."""


class ForwardingFailed(Exception):  # noqa: N818 - it carries the answer
    """There is no response to pass on; `status` is what the client should get instead."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Exchange:
    """One proxied request."""

    def __init__(
        self,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
        upstream: Upstream,
        invocation: Invocation,
        activity_seconds: float = ACTIVITY_SECONDS,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._upstream = upstream
        self._invocation = invocation
        self._activity_seconds = activity_seconds
        self._last_activity = 0.0
        self._uploaded = False
        self.status: int | None = None
        """The status that the client has been sent."""

    async def run(self) -> None:
        """Forward until the response ends or the client goes away.

        Raises ForwardingFailed while the client can still be given another answer, and WorkerConnectionLost when it has
        half of one already.
        """
        try:
            connection = await self._upstream.acquire()
        except WorkerConnectionLost:
            raise ForwardingFailed(502) from None
        upload = asyncio.create_task(self._upload(connection))
        download = asyncio.create_task(self._download(connection))
        try:
            await self._supervise(upload, download, self._invocation.ended)
        finally:
            upload.cancel()
            download.cancel()
            await asyncio.wait((upload, download))
            finished = not download.cancelled() and download.exception() is None
            if finished:
                self._upstream.release(connection)
            else:
                connection.close()

    async def _supervise(
        self, upload: asyncio.Task[None], download: asyncio.Task[None], invocation: asyncio.Future[str | None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._last_activity = loop.time()
        waiting: set[asyncio.Future[str | None] | asyncio.Task[None]] = {upload, download, invocation}
        failed_at: float | None = None
        while True:
            deadline = self._last_activity + self._activity_seconds
            if failed_at is not None and self.status is None:
                deadline = failed_at + FAILURE_GRACE_SECONDS
            done, _ = await asyncio.wait(
                waiting, timeout=max(0.0, deadline - loop.time()), return_when=asyncio.FIRST_COMPLETED
            )
            if download in done:
                self._raise_for(download)
                return
            if upload in done:  # it only ever ends by itself when the client has gone away
                return
            if invocation in done:
                waiting.discard(invocation)
                failed_at = loop.time() if invocation.result() is not None else None
            elif failed_at is not None and self.status is None:
                raise ForwardingFailed(500)
            elif loop.time() >= self._last_activity + self._activity_seconds:
                if self.status is None:
                    raise ForwardingFailed(504)
                raise WorkerConnectionLost

    def _raise_for(self, download: asyncio.Task[None]) -> None:
        try:
            download.result()
        except WorkerConnectionLost:
            if self.status is None:
                raise ForwardingFailed(502) from None
            raise

    async def _upload(self, connection: Connection) -> None:
        """Send the request, then wait for the client to go away."""
        # A worker that has answered may have stopped reading; the answer still counts.
        with contextlib.suppress(ConnectionError, h11.LocalProtocolError):
            if not await self._send_request(connection):
                return
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _send_request(self, connection: Connection) -> bool:
        """False if the client went away before its request was complete."""
        scope = self._scope
        query: bytes = scope["query_string"]
        target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        client = scope["client"][0] if scope["client"] else "127.0.0.1"
        headers = header_rules.to_worker(scope["headers"], invocation=self._invocation, client=client)
        await connection.send_request(scope["method"], target, headers)
        more = header_rules.has_body(scope["headers"])
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return False
            self._touch()
            if body := message.get("body", b""):
                await connection.send_body(body)
            more = message.get("more_body", False)
        await connection.end_request()
        self._uploaded = True
        return True

    async def _download(self, connection: Connection) -> None:
        status, headers = await connection.receive_response()
        self._touch()
        closes = (b"connection", b"close") in [(name.lower(), value) for name, value in headers]
        # Over an unread body the connection is reset. The real forwarder then tries again, cannot send the body a
        # second time, and gives up; an answer whose sender waits with closing gets through.
        if closes and not self._uploaded and await connection.closes_within(RESET_SECONDS):
            raise ForwardingFailed(500)
        self.status = status
        begun = False
        # Its client gets the headers with the first bytes of the body.
        while (data := await connection.receive_body()) is not None:
            self._touch()
            if not begun:
                await self._begin(status, headers)
                begun = True
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        if not begun:
            await self._begin(status, headers)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, status: int, headers: header_rules.HeaderList) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": header_rules.to_client(headers)})

    def _touch(self) -> None:
        self._last_activity = asyncio.get_running_loop().time()
