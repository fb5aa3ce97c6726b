"""What is left of a body is read before an answer to it starts, within bounds; nobody waits for more."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse

from entra_mcp.web.body_limit import LINGERING_SECONDS, PAUSE_SECONDS, BodyLimit, UnreadBody
from tests.support.clock import virtual_time
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEGABYTE = 1024 * 1024
REFUSAL = PlainTextResponse("no", 401)


class Exchange:
    """One request over ASGI, from a sender who sends as many pieces as the application takes."""

    def __init__(
        self, *pieces: bytes, leaves: bool = False, headers: Mapping[str, str] | None = None, pause: float = 0
    ) -> None:
        self.taken = 0
        self.order: list[str] = []
        self.status = 0
        self.headers = Headers()
        self._pieces = list(pieces)
        self._leaves = leaves
        self._pause = pause
        sent = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self._scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": sent}

    async def __call__(self, app: ASGIApp) -> None:
        await app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._pieces:
            if not self._leaves:
                await asyncio.get_running_loop().create_future()
            return {"type": "http.disconnect"}
        await asyncio.sleep(self._pause)
        self.order.append("read")
        self.taken += 1
        body = self._pieces.pop(0)
        return {"type": "http.request", "body": body, "more_body": body != b""}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.order.append("answered")
            self.status = message["status"]
            self.headers = Headers(raw=message["headers"])


async def test_whole_body_is_read_before_the_answer_starts() -> None:
    exchange = Exchange(b"a", b"b", b"")
    await exchange(UnreadBody(REFUSAL, seconds=60))

    assert exchange.order == ["read", "read", "read", "answered"]
    assert "connection" not in exchange.headers


async def test_body_that_the_application_has_read_is_not_waited_for_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)

    exchange = Exchange(b"a", b"")
    await exchange(UnreadBody(app, seconds=60))

    assert exchange.order == ["read", "read", "answered"]


async def test_body_beyond_the_bound_of_bytes_is_answered_and_its_connection_closed() -> None:
    exchange = Exchange(*[b"a" * 10] * 100, leaves=True)
    await exchange(UnreadBody(REFUSAL, max_bytes=95, seconds=60))

    assert exchange.order[:11] == ["read"] * 10 + ["answered"]
    assert (exchange.status, exchange.headers["connection"]) == (401, "close")


@pytest.mark.parametrize("pieces", [(), (b"a",), (b"a", b"b")])
async def test_sender_who_pauses_is_answered_soon_and_the_connection_closed(pieces: tuple[bytes, ...]) -> None:
    exchange = Exchange(*pieces)
    with virtual_time() as clock:
        began = clock.now
        await exchange(UnreadBody(REFUSAL, seconds=60))
        assert clock.now - began == pytest.approx(PAUSE_SECONDS + LINGERING_SECONDS)

    assert (exchange.status, exchange.headers["connection"]) == (401, "close")


async def test_slow_sender_is_read_to_the_end_and_no_longer_than_the_bound() -> None:
    with virtual_time():
        slow = Exchange(*[b"a"] * 20, b"", pause=PAUSE_SECONDS - 0.5)
        await slow(UnreadBody(REFUSAL, seconds=60))
        endless = Exchange(*[b"a"] * 100, pause=PAUSE_SECONDS - 0.5)
        await endless(UnreadBody(REFUSAL, seconds=61))

    assert slow.order == ["read"] * 21 + ["answered"]
    assert "connection" not in slow.headers
    assert endless.order[24] == "answered"
    assert endless.headers["connection"] == "close"


@pytest.mark.parametrize(("name", "value"), [("content-length", str(MEGABYTE + 1)), ("expect", "100-continue")])
async def test_body_that_can_only_be_too_much_or_waits_to_be_asked_for_is_not_read(name: str, value: str) -> None:
    exchange = Exchange(b"a", b"", headers={name: value})
    await exchange(UnreadBody(REFUSAL, max_bytes=MEGABYTE, seconds=60))

    assert exchange.order[0] == "answered"
    assert exchange.headers["connection"] == "close"


async def test_sender_who_leaves_is_not_waited_for() -> None:
    exchange = Exchange(b"a", leaves=True)
    await exchange(UnreadBody(REFUSAL, seconds=60))

    assert exchange.status == 401


async def test_stream_that_listens_for_its_client_to_leave_is_not_disturbed() -> None:
    async def pieces() -> object:
        yield b"a"
        yield b"b"

    exchange = Exchange(b"body", b"")
    await exchange(UnreadBody(StreamingResponse(pieces()), seconds=60))  # pyright: ignore[reportArgumentType] - Starlette's own types

    assert exchange.order == ["read", "read", "answered"]


async def test_refusal_of_a_large_body_arrives_whole_over_a_real_connection_which_stays_open() -> None:
    """Ten times the buffers of a connection, sent by somebody who looks at the answer only then."""
    body = b"a" * (20 * MEGABYTE)
    async with serving(UnreadBody(REFUSAL, seconds=60)) as port:

        def send() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                for _ in range(2):
                    connection.sendall(
                        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
                    )
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answers = b""
                while piece := connection.recv(65536):
                    answers += piece
            return answers

        assert (await asyncio.to_thread(send)).count(b"HTTP/1.1 401 ") == 3


@pytest.mark.parametrize("on_demand", [False, True], ids=["read first", "on demand"])
async def test_sender_who_leaves_during_the_upload_ends_the_application_without_an_answer(
    on_demand: bool,
) -> None:
    failures: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await Request(scope, receive).body()
        except (Exception, ClientDisconnect) as error:
            failures.append(error)
            raise

    exchange = Exchange(b"a", leaves=True)
    await exchange(BodyLimit(app, max_bytes=100, seconds=60, on_demand=on_demand))

    assert exchange.order == ["read"]
    assert failures == [], "what an application makes of half a body is a line in the log that nobody needs"


async def test_body_that_is_read_on_demand_over_the_limit_is_refused_once_and_ends_the_application() -> None:
    failures: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await Request(scope, receive).body()
        except Exception as error:
            failures.append(error)
            raise
        await PlainTextResponse("never")(scope, receive, send)

    exchange = Exchange(b"a" * 60, b"a" * 60, b"")
    await exchange(UnreadBody(BodyLimit(app, max_bytes=100, seconds=60, on_demand=True), seconds=60))

    assert exchange.status == 413
    assert exchange.order == ["read", "read", "read", "answered"]
    assert failures == []


async def test_timeout_of_the_application_itself_is_its_own() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await Exchange(b"")(BodyLimit(app, max_bytes=1, seconds=60))
