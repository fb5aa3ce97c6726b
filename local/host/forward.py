"""The streaming reverse proxy: one request to the worker, its response back, both while they are still coming."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

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


class ForwardedRequest:
    """One proxied request."""

    def __init__(
        self,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
        upstream: Upstream,
        invocation: Invocation,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._upstream = upstream
        self._invocation = invocation
        self._silence = asyncio.timeout(None)
        self._uploaded = False
        self.status: int | None = None
        """The status that the client has been sent."""

    async def run(self) -> None:
        """Forward until the response ends or the client goes away.

        Raises ForwardingFailed while the client can still be given another answer, and WorkerConnectionLost when it has
        half of one already.
        """
        try:
            await self._run()
        except WorkerConnectionLost:
            raise self._failed(502) from None
        except TimeoutError:
            raise self._failed(504) from None

    async def _run(self) -> None:
        headers = self._scope["headers"]
        unsendable = (b"host", b"") in headers or any(not value.isascii() for _, value in headers)
        if unsendable or self._scope["method"] == "CONNECT":
            # The real forwarder fails over these when their invocation has begun, which waits for the request.
            await asyncio.wait((self._invocation.ended,))
            raise ForwardingFailed(500)
        connection = await self._upstream.acquire()
        upload = asyncio.create_task(self._upload(connection))
        download = asyncio.create_task(self._download(connection))
        failure = asyncio.create_task(self._failure())
        tasks = (upload, download, failure)
        try:
            async with self._silence:
                self._touch()
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if download.done():
                download.result()
            elif not upload.done():  # which only ever ends by itself when the client has gone away
                raise self._failed(500)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if not download.cancelled() and download.exception() is None:
                self._upstream.release(connection)
            else:
                connection.close()

    def _failed(self, status: int) -> Exception:
        return ForwardingFailed(status) if self.status is None else WorkerConnectionLost()

    async def _failure(self) -> None:
        """Ends when the invocation has failed, and the worker has not even begun to answer for that."""
        await asyncio.wait((self._invocation.ended,))
        if self._invocation.ended.result() is not None:
            await asyncio.sleep(FAILURE_GRACE_SECONDS)
            if self.status is None:
                return
        await asyncio.Event().wait()

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
        await connection.send(h11.Request(method=scope["method"], target=target, headers=headers))
        more = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return False
            self._touch()
            if body := message.get("body", b""):
                await connection.send(h11.Data(data=body))
            more = message.get("more_body", False)
        await connection.send(h11.EndOfMessage())
        self._uploaded = True
        return True

    async def _download(self, connection: Connection) -> None:
        response = cast("h11.Response", await connection.receive())
        self._touch()
        headers = response.headers.raw_items()
        closes = (b"connection", b"close") in [(name.lower(), value) for name, value in headers]
        # Over an unread body the connection is reset. The real forwarder then tries again, cannot send the body a
        # second time, and gives up; an answer whose sender waits with closing gets through.
        if closes and not self._uploaded and await connection.closes_within(RESET_SECONDS):
            raise ForwardingFailed(500)
        self.status = response.status_code
        start = {"type": "http.response.start", "status": self.status, "headers": header_rules.to_client(headers)}
        begun = False
        more = True
        while more:
            event = await connection.receive()
            self._touch()
            if not begun:  # its client gets the headers with the first bytes of the body
                begun = True
                await self._send(start)
            more = isinstance(event, h11.Data)
            body = bytes(event.data) if isinstance(event, h11.Data) else b""
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _touch(self) -> None:
        self._silence.reschedule(asyncio.get_running_loop().time() + ACTIVITY_SECONDS)
