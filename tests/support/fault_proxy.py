"""A TCP proxy in front of Azurite that misbehaves on demand, and counts the requests that pass.

It understands just enough HTTP to find where a request and a response end, so that it can lose a response whose request
was carried out: the fault that single use must survive.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class Fault(Enum):
    """What the proxy does to a request."""

    RESET = auto()
    """Breaks the connection; the service never hears of the request."""
    LOSE_RESPONSE = auto()
    """Lets the service carry the request out, and breaks the connection instead of answering."""
    HALF_RESPONSE = auto()
    """Lets the service carry the request out, and ends the answer in the middle."""
    HALF_REQUEST = auto()
    """Sends the service half of the request and breaks both connections."""
    HANG = auto()
    """Never answers; the service never hears of the request."""
    NO_RESPONSE = auto()
    """Lets the service carry the request out, and never answers."""


@dataclass
class FaultProxy:
    """The fault applies to the next `times` requests, to those of the `method` if there is one."""

    host: str
    port: int
    latency: float = 0.0
    fault: Fault | int | None = None
    """A fault, or the status to answer with."""
    retry_after: int | None = None
    times: int = 0
    method: str | None = None
    skip: int = 0
    """How many requests pass before the fault applies."""
    failing: float = 0.0
    """Which part of all requests is answered with 503, evenly spread."""
    requests: Counter[str] = field(default_factory=Counter[str])
    """How often each method was seen."""
    faults: int = 0
    """How often a fault was applied."""
    connections: int = 0
    """How many the client has opened."""

    @property
    def total(self) -> int:
        return self.requests.total()

    def break_next(self, fault: Fault | int, *, times: int = 1, method: str | None = None) -> None:
        """Applies the fault to the next requests, with a method only to those that have it."""
        self.fault, self.times, self.method = fault, times, method

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection of the client."""
        self.connections += 1
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while message := await read_message(reader):
                method = message.split(b" ", 1)[0].decode()
                self.requests[method] += 1
                await asyncio.sleep(self.latency)
                fault = self._due(method)
                if upstream is None or upstream[0].at_eof():
                    # Azurite ends connections that are idle for five seconds.
                    if upstream is not None:
                        upstream[1].close()
                    upstream = await asyncio.open_connection(self.host, self.port)
                if fault is None:
                    upstream[1].write(message)
                    answer = await read_message(upstream[0])
                    if not answer:
                        return
                    writer.write(answer)
                elif isinstance(fault, int):
                    writer.write(self._status(fault))
                else:
                    await self._apply(fault, message, upstream, writer)
                    return
                await writer.drain()
        finally:
            writer.close()
            if upstream is not None:
                upstream[1].close()

    def _due(self, method: str) -> Fault | int | None:
        if self.failing and int(self.total * self.failing) != int((self.total - 1) * self.failing):
            self.faults += 1
            return 503
        if self.fault is None or self.times <= 0 or self.method not in {None, method}:
            return None
        if self.skip > 0:
            self.skip -= 1
            return None
        self.times -= 1
        self.faults += 1
        return self.fault

    async def _apply(
        self,
        fault: Fault,
        message: bytes,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
    ) -> None:
        if fault is Fault.HANG:
            await asyncio.sleep(3600)
        if fault is Fault.HALF_REQUEST:
            upstream[1].write(message[: len(message) // 2])
            await upstream[1].drain()
            _reset(upstream[1])
        if fault in {Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE, Fault.NO_RESPONSE}:
            upstream[1].write(message)
            answer = await read_message(upstream[0])
            if fault is Fault.NO_RESPONSE:
                await asyncio.sleep(3600)
            if fault is Fault.HALF_RESPONSE:
                writer.write(answer[: max(len(answer) - 40, len(answer) // 2)])
                await writer.drain()
                return
        _reset(writer)

    def _status(self, status: int) -> bytes:
        extra = "" if self.retry_after is None else f"Retry-After: {self.retry_after}\r\n"
        return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: 0\r\n{extra}\r\n".encode()


@asynccontextmanager
async def fault_proxy(connection_string: str, *, service: str = "Table") -> AsyncGenerator[tuple[FaultProxy, str]]:
    """Yields a proxy in front of a service of an Azurite, and the connection string that leads through it."""
    found = re.search(rf"{service}Endpoint=(http://[^;]+)", connection_string)
    assert found, "a connection string with an endpoint of the service"
    azurite = urlsplit(found[1])
    assert azurite.hostname, "an endpoint with a host"
    assert azurite.port, "an endpoint with a port"
    proxy = FaultProxy(host=azurite.hostname, port=azurite.port)
    connections: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await proxy.serve(reader, writer)

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=8 * 1024 * 1024)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, connection_string.replace(found[1], f"http://127.0.0.1:{port}{azurite.path}")
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Lets the connection close with a reset instead of a proper end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Reads one request or response whole; empty when the other side has ended the connection between two of them."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    if CHUNKED.search(head):
        parts = [head]
        while True:
            size = await reader.readline()
            length = int(size.split(b";")[0], 16)
            parts += [size, await reader.readexactly(length + 2)]
            if length == 0:
                return b"".join(parts)
    length = LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")
