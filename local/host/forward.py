"""The streaming reverse proxy: one request to the worker, its response back, both while they are still coming."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

import h11
from starlette.responses import Response

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


class _ForwardingFailedError(Exception):
    """There is no answer of the worker to pass on."""


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
        """That of the answer; None before there is one, and when the client has left without one."""

    async def run(self) -> None:
        """Forward until the response ends or the client goes away, and answer for a worker that does not.

        Raises WorkerConnectionLost when the client has half an answer already.
        """
        try:
            await self._run()
        except WorkerConnectionLost:
            status = 502
        except TimeoutError:
            status = 504
        except _ForwardingFailedError:
            status = 500
        else:
            return
        if self.status is not None:
            raise WorkerConnectionLost
        self.status = status
        await Response(status_code=status)(self._scope, self._receive, self._send)

    async def _run(self) -> None:
        headers = self._scope["headers"]
        unsendable = (b"host", b"") in headers or any(not value.isascii() for _, value in headers)
        if unsendable or self._scope["method"] == "CONNECT":
            # The real forwarder fails over these when their invocation has begun, which waits for the request.
            await asyncio.wait((self._invocation.ended,))
            raise _ForwardingFailedError
        async with self._upstream.connection() as connection:
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
                    raise _ForwardingFailedError
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

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
        scope = self._scope
        query: bytes = scope["query_string"]
        target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        client, _ = scope["client"] or ("127.0.0.1", 0)  # it may have left already
        headers = header_rules.to_worker(scope["headers"], invocation=self._invocation, client=client)
        more = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
        # A worker that has answered may have stopped reading; the answer still counts.
        with contextlib.suppress(ConnectionError, h11.LocalProtocolError):
            await connection.send(h11.Request(method=scope["method"], target=target, headers=headers))
            while more:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    return
                self._touch()
                if body := message.get("body", b""):
                    await connection.send(h11.Data(data=body))
                more = message.get("more_body", False)
            await connection.send(h11.EndOfMessage())
            self._uploaded = True
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _download(self, connection: Connection) -> None:
        response = cast("h11.Response", await connection.receive())
        self._touch()
        headers = list(response.headers.raw_items())
        closes = (b"connection", b"close") in [(name.lower(), value) for name, value in headers]
        # Over an unread body the connection is reset. The real forwarder then tries again, cannot send the body a
        # second time, and gives up; an answer whose sender waits with closing gets through.
        if closes and not self._uploaded and await connection.closes_within(RESET_SECONDS):
            raise _ForwardingFailedError
        self.status = response.status_code
        start = {"type": "http.response.start", "status": self.status, "headers": header_rules.to_client(headers)}
        event = await connection.receive()
        await self._send(start)  # its client gets the headers with the first bytes of the body
        while isinstance(event, h11.Data):
            self._touch()
            await self._send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            event = await connection.receive()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _touch(self) -> None:
        self._silence.reschedule(asyncio.get_running_loop().time() + ACTIVITY_SECONDS)
