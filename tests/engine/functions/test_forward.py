"""The proxy's own faults: workers that fail, fall silent or go away, and clients that do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from local.host import forward
from local.host.forward import FAILURE_GRACE_SECONDS, ForwardedRequest
from local.host.process import Invocation
from local.host.upstream import Upstream, WorkerConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.types import Message

    type Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Client:
    """One GET request and what came back; with `gone` it goes away."""

    def __init__(self, *, address: tuple[str, int] | None = ("127.0.0.1", 1)) -> None:
        self.address = address
        self.messages: list[Message] = []
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def exchange(self, upstream: Upstream, ended: asyncio.Future[str | None]) -> ForwardedRequest:
        scope = {
            "type": "http",
            "method": "GET",
            "raw_path": b"/x",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": self.address,
        }
        return ForwardedRequest(
            scope=scope,
            receive=self.receive,
            send=self.send,
            upstream=upstream,
            invocation=Invocation(function="f", ended=ended),
        )


@asynccontextmanager
async def worker(behave: Behaviour) -> AsyncGenerator[tuple[Upstream, list[int]]]:
    """An upstream that behaves as it should after each request; the list grows by one with each connection."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await behave(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = Upstream(server.sockets[0].getsockname()[1])
    try:
        yield upstream, connections
    finally:
        upstream.close()
        server.close()
        await server.wait_closed()


def pending() -> asyncio.Future[str | None]:
    return asyncio.get_running_loop().create_future()


def ended(error: str | None) -> asyncio.Future[str | None]:
    future = pending()
    future.set_result(error)
    return future


def answers(*pieces: bytes) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()

    return behave


def answers_and_closes(*pieces: bytes) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(pieces)
        writer.close()

    return behave


async def keeps_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_connection_is_kept_for_the_next_request() -> None:
    async with worker(answers(OK)) as (upstream, connections):
        for _ in range(3):
            client = Client()
            await client.exchange(upstream, ended(None)).run()
            assert client.body == b"ok"

        assert len(connections) == 1


async def test_client_without_an_address_is_answered() -> None:
    client = Client(address=None)
    async with worker(answers(OK)) as (upstream, _):
        await client.exchange(upstream, ended(None)).run()

    assert client.body == b"ok"


async def test_connection_that_the_worker_has_closed_is_not_used_again() -> None:
    async with worker(answers_and_closes(OK)) as (upstream, connections):
        for _ in range(2):
            await Client().exchange(upstream, ended(None)).run()
            await asyncio.sleep(0.05)

        assert len(connections) == 2


async def test_interim_responses_are_not_passed_on() -> None:
    async with worker(answers(b"HTTP/1.1 100 Continue\r\n\r\n", OK)) as (upstream, _):
        client = Client()
        await client.exchange(upstream, ended(None)).run()

        assert [message.get("status") for message in client.messages] == [200, None, None]


@pytest.mark.parametrize(
    ("behave", "invocation", "status"),
    [
        (keeps_silent, "failed", 500),
        (keeps_silent, None, 504),
        (answers_and_closes(), None, 502),
        (answers_and_closes(b"HTTP/1.1 200 OK\r\n"), None, 502),
        (answers(b"no http at all\r\n\r\n"), None, 502),
    ],
)
async def test_worker_without_an_answer_is_answered_for(
    monkeypatch: pytest.MonkeyPatch, behave: Behaviour, invocation: str | None, status: int
) -> None:
    monkeypatch.setattr(forward, "ACTIVITY_SECONDS", FAILURE_GRACE_SECONDS + 0.3)
    client = Client()
    async with worker(behave) as (upstream, _):
        await asyncio.wait_for(client.exchange(upstream, ended(invocation)).run(), 60)
    assert (client.messages[0]["status"], client.body) == (status, b"")


async def test_answer_of_a_failed_invocation_is_passed_on() -> None:
    async with worker(answers(OK)) as (upstream, _):
        client = Client()
        await client.exchange(upstream, ended("failed")).run()

        assert client.body == b"ok"


async def test_nobody_listens_is_answered_for() -> None:
    async with worker(answers(OK)) as (upstream, _):
        pass
    client = Client()
    await client.exchange(upstream, pending()).run()
    assert client.messages[0]["status"] == 502


@pytest.mark.parametrize(
    "behave",
    [
        answers_and_closes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
        answers_and_closes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        answers(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
    ],
)
async def test_half_an_answer_is_never_completed(monkeypatch: pytest.MonkeyPatch, behave: Behaviour) -> None:
    monkeypatch.setattr(forward, "ACTIVITY_SECONDS", 0.3)
    async with worker(behave) as (upstream, _):
        client = Client()
        with pytest.raises(WorkerConnectionLost):
            await client.exchange(upstream, ended(None)).run()

        assert client.body == b"half"
        assert client.messages[-1]["more_body"]


async def test_client_that_goes_away_ends_the_connection_to_the_worker() -> None:
    released = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        try:
            await reader.read()
        finally:
            released.set()

    async with worker(behave) as (upstream, _):
        client = Client()
        running = asyncio.create_task(client.exchange(upstream, pending()).run())
        async with asyncio.timeout(60):
            while client.body != b"half":  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.01)
        client.gone.set()

        await asyncio.wait_for(running, 60)
        await asyncio.wait_for(released.wait(), 60)
