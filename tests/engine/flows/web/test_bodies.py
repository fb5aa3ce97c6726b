"""Bodies that are too large, endless or slow, over a real socket."""

from __future__ import annotations

import asyncio
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import httpx2
import pytest
import pytest_asyncio

from entra_mcp.web import stack
from tests.engine.flows.web.conftest import browser
from tests.support.mcp import structured, tool_call
from tests.support.oauth import OAuthClient
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

KIB = 1024
ROUTES = ["/", "/authorize", "/consent", "/auth/callback", "/token", "/register", "/mcp", "/nothing"]
READ = [route for route in ROUTES if route != "/mcp"]
"""Routes whose body is read before anything else; at `/mcp` whoever calls is looked at first."""
FORM = "Content-Type: application/x-www-form-urlencoded"


class Upload:
    """A POST whose body is written piece by piece."""

    def __init__(self, port: int, path: str, *headers: str) -> None:
        self._port = port
        self._head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""])
        self.sent = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(self._head.encode())
        self._status = asyncio.create_task(self._read_status())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._status.cancel()
        self._writer.transport.abort()

    async def status(self) -> int:
        return await asyncio.wait_for(self._status, 60)

    async def write_all(self, piece: bytes, *, times: int, end: bytes = b"") -> int:
        """As a sender does who looks at the answer only when everything is sent."""
        for _ in range(times):
            self._writer.write(piece)
            await self._writer.drain()
        self._writer.write(end)
        return await self.status()

    async def write_until_answered(self, piece: bytes, *, pause: float, at_most: int) -> int:
        with suppress(ConnectionError):
            while not self._status.done() and self.sent < at_most:
                self._writer.write(piece)
                await self._writer.drain()
                self.sent += len(piece)
                await asyncio.sleep(pause)
        return await self.status()

    async def _read_status(self) -> int:
        return int((await self._reader.readline()).split()[1])


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def port(app: ASGIApp) -> AsyncIterator[int]:
    async with serving(app) as port:
        yield port


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def impatient_port(start: Start) -> AsyncIterator[int]:
    """A server that reads on for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "DISCARDED_SECONDS", 0.2)
        async with start() as app, serving(app) as port:
            yield port


@pytest.mark.parametrize("path", ROUTES)
async def test_body_over_the_limit_is_read_to_its_end_and_refused(port: int, path: str) -> None:
    limit = 512 * KIB if path == "/mcp" else 64 * KIB
    async with Upload(port, path, f"Content-Length: {6 * limit}", FORM) as upload:
        assert await upload.write_all(b"a" * limit, times=6) == 413


@pytest.mark.parametrize("headers", [(), ("Authorization: Bearer made-up",)], ids=["nobody", "made up"])
async def test_call_of_a_stranger_is_read_to_its_end_and_refused(port: int, headers: tuple[str, ...]) -> None:
    piece = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    async with Upload(port, "/mcp", "Transfer-Encoding: chunked", *headers) as upload:
        assert await upload.write_all(piece, times=20, end=b"0\r\n\r\n") == 401


@pytest.mark.parametrize("path", ROUTES)
async def test_body_declared_beyond_all_bounds_is_refused_before_it_comes(port: int, path: str) -> None:
    async with Upload(port, path, f"Content-Length: {10**15}") as upload:
        assert await upload.status() == 413


@pytest.mark.parametrize("path", READ)
async def test_endless_body_is_refused(impatient_port: int, path: str) -> None:
    piece = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    async with Upload(impatient_port, path, "Transfer-Encoding: chunked", FORM) as upload:
        assert await upload.write_until_answered(piece, pause=0.0005, at_most=64 * 1024 * KIB) == 413


async def test_endless_call_of_a_stranger_is_refused(impatient_port: int) -> None:
    piece = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    async with Upload(impatient_port, "/mcp", "Transfer-Encoding: chunked") as upload:
        assert await upload.write_until_answered(piece, pause=0.0005, at_most=64 * 1024 * KIB) == 401


async def test_endless_or_slow_call_of_a_user_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "BODY_SECONDS", 2.0)
    monkeypatch.setattr(stack, "DISCARDED_SECONDS", 0.2)
    async with start(MCP_BODY_LIMIT="65536") as app, serving(app) as port, browser(app) as http:
        token = (await OAuthClient(http=http).sign_in())["access_token"]
        headers = [
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "Transfer-Encoding: chunked",
        ]
        async with Upload(port, "/mcp", *headers) as upload:
            piece = b"1000\r\n" + b" " * 4096 + b"\r\n"
            assert await upload.write_until_answered(piece, pause=0.0005, at_most=64 * 1024 * KIB) == 413
        async with Upload(port, "/mcp", *headers) as upload:
            assert await upload.write_until_answered(b"1\r\n \r\n", pause=0.05, at_most=1000) == 408


async def test_endless_bodies_cost_little_memory(impatient_port: int) -> None:
    async def send() -> int:
        async with Upload(impatient_port, "/token", "Transfer-Encoding: chunked", FORM) as upload:
            return await upload.write_until_answered(b"8000\r\n" + b"a" * 32768 + b"\r\n", pause=0.001, at_most=2**26)

    tracemalloc.start()
    try:
        assert set(await asyncio.gather(*(send() for _ in range(20)))) == {413}
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * KIB
    finally:
        tracemalloc.stop()


async def test_slow_body_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(stack, "DISCARDED_SECONDS", 0.2)
    async with start() as app, serving(app) as port:

        async def send(path: str) -> tuple[int, bool]:
            async with Upload(port, path, "Content-Length: 1000", FORM) as upload:
                status = await upload.write_until_answered(b"a", pause=0.05, at_most=1000)
                return status, upload.sent < 1000

        assert set(await asyncio.gather(*(send(path) for path in READ))) == {(408, True)}


async def test_largest_call_that_is_allowed_works_and_one_byte_more_does_not(client: OAuthClient, port: int) -> None:
    token = (await client.sign_in())["access_token"]
    async with httpx2.AsyncClient(base_url=f"http://localhost:{port}", timeout=30) as http:
        request = http.build_request("POST", "/mcp", **tool_call("add", {"a": 1, "b": 1}, token=token))
        body = request.content.ljust(512 * KIB)
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        assert structured(await http.post("/mcp", headers=headers, content=body)) == {"result": 2}
        assert (await http.post("/mcp", headers=headers, content=body + b" ")).status_code == 413


async def test_limits_follow_the_settings(start: Start) -> None:
    async with start(MCP_OAUTH_BODY_LIMIT="8192", MCP_BODY_LIMIT="65536") as app, browser(app) as http:
        assert (await http.post("/register", content=b"a" * 8193)).status_code == 413
        assert (await http.post("/register", content=b"a" * 8192)).status_code == 400
        assert (await http.post("/mcp", content=b"a" * 65537)).status_code == 413
        assert (await http.post("/mcp", content=b"a" * 65536)).status_code == 401
