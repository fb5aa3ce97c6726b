"""Connections to the worker's HTTP server, kept alive between requests.

h11 on plain streams, because a proxy must do what HTTP clients do not. It sends and receives at the same time, since an
early answer to an endless body must get through, and it leaves the target and the headers exactly as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHUNK = 65536


class WorkerConnectionLost(Exception):  # noqa: N818 - it names what happened
    """The worker closed the connection in the middle of an exchange."""


class Connection:
    """One request and response at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        return not self._writer.is_closing() and not self._reader.at_eof()

    async def send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()

    async def receive(self) -> h11.Event:
        """The next part of the response as soon as it is there; raises WorkerConnectionLost."""
        while True:
            try:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(CHUNK))
                elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    raise WorkerConnectionLost
                elif isinstance(event, h11.Event) and not isinstance(event, h11.InformationalResponse):
                    return event
            except (h11.RemoteProtocolError, ConnectionError) as error:
                raise WorkerConnectionLost from error

    async def closes_within(self, seconds: float) -> bool:
        """Whether the worker closes the connection in this time; what it sends meanwhile is received all the same."""
        try:
            async with asyncio.timeout(seconds):
                while data := await self._reader.read(CHUNK):
                    self._http.receive_data(data)
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def reset(self) -> bool:
        """Get ready for another request; False if this connection cannot take one."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE and self.usable:
            self._http.start_next_cycle()
            return True
        return False

    def close(self) -> None:
        self._writer.transport.abort()


class Upstream:
    """The pool of one worker; it goes away with that worker."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection for one request and its response; it is kept if it can take another. WorkerConnectionLost."""
        connection = await self._open()
        try:
            yield connection
        finally:
            if connection.reset():
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _open(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        try:
            return Connection(*await asyncio.open_connection("127.0.0.1", self._port, limit=CHUNK))
        except ConnectionError as error:
            raise WorkerConnectionLost from error
