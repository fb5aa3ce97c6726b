"""Requests to Microsoft Graph: what goes out, and what a failure tells the client and the log."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastmcp.exceptions import ToolError

from entra_mcp.graph import TIMEOUT, GraphClient, graph_lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

TOKEN = "secret-token-of-the-caller"
BASE_URL = "https://graph.example"


@asynccontextmanager
async def graph(answer: Callable[[httpx2.Request], httpx2.Response]) -> AsyncGenerator[GraphClient]:
    async with httpx2.AsyncClient(base_url=BASE_URL, transport=httpx2.MockTransport(answer)) as http:
        yield GraphClient(http=http, token=TOKEN)


async def test_request_carries_token_path_and_selection() -> None:
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, json={"id": "1"})

    async with graph(answer) as client:
        assert await client.get("/me", select=("id", "displayName")) == {"id": "1"}
        assert await client.get("/me/manager") == {"id": "1"}

    selected, whole = requests
    assert (selected.method, selected.url.path) == ("GET", "/v1.0/me")
    assert selected.url.params["$select"] == "id,displayName"
    assert selected.headers["authorization"] == f"Bearer {TOKEN}"
    assert (whole.url.path, whole.url.query) == ("/v1.0/me/manager", b"")


@pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 404, 429, 500, 502, 503, 504])
async def test_answer_other_than_success_is_refused_without_its_details(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        details = {"error": {"code": "Denied", "message": "tenant contoso-internal"}, "id": "1"}
        return httpx2.Response(
            status, json=details, headers={"request-id": "request-42", "location": "https://evil.example"}
        )

    with caplog.at_level(logging.WARNING, "entra_mcp"):
        async with graph(answer) as client:
            with pytest.raises(ToolError) as caught:
                await client.get("/me")

    assert str(caught.value) == f"Microsoft Graph refused the request with status {status}."
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("entra_mcp.graph", logging.WARNING)
    assert str(status) in record.getMessage()
    assert "GET /me" in record.getMessage()
    assert "request-42" in record.getMessage()
    assert TOKEN not in caplog.text


async def test_refusal_without_a_request_id_is_logged_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async with graph(lambda _: httpx2.Response(403)) as client:
        with pytest.raises(ToolError, match="403"):
            await client.get("/me")
    assert "403" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ReadError,
        httpx2.ReadTimeout,
        httpx2.RemoteProtocolError,
        httpx2.WriteError,
    ],
)
async def test_failed_connection_is_told_without_its_details(
    error: type[httpx2.TransportError], caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error("10.1.2.3 refused")

    with caplog.at_level(logging.WARNING, "entra_mcp"):
        async with graph(answer) as client:
            with pytest.raises(ToolError) as caught:
                await client.get("/me")

    assert str(caught.value) == "Microsoft Graph did not answer. Try again in a moment."
    assert isinstance(caught.value.__cause__, error)
    assert f"GET /me: {error.__name__}" in caplog.text
    assert TOKEN not in caplog.text


@asynccontextmanager
async def loopback(answer: bytes, *, closes: bool) -> AsyncGenerator[str]:
    """The address of a server that writes this when a request is there, and then closes or says no more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not closes:
            await reader.read()  # until the client goes away
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "closes", "error"),
    [
        (b"", False, "ReadTimeout"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", False, "ReadTimeout"),
        (b"", True, "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", True, "RemoteProtocolError"),
        (b"not http\r\n\r\n", True, "RemoteProtocolError"),
    ],
)
async def test_server_that_breaks_off_is_one_that_did_not_answer(
    answer: bytes, closes: bool, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    timeout = httpx2.Timeout(10, read=0.2)
    async with (
        loopback(answer, closes=closes) as url,
        httpx2.AsyncClient(base_url=url, timeout=timeout, trust_env=False) as http,
    ):
        with pytest.raises(ToolError, match="did not answer"):
            await GraphClient(http=http, token=TOKEN).get("/me")
    assert error in caplog.text


async def test_lifespan_shares_one_connection_pool_with_limits_and_closes_it() -> None:
    async with graph_lifespan(BASE_URL) as shared:
        (http,) = shared.values()
        assert str(http.base_url).rstrip("/") == BASE_URL
        assert http.timeout == TIMEOUT
        # A redirect would take the caller's token to wherever it points.
        assert http.follow_redirects is False
    assert http.is_closed


def test_no_wait_for_graph_is_without_limit() -> None:
    waits = (TIMEOUT.connect, TIMEOUT.read, TIMEOUT.write, TIMEOUT.pool)
    assert all(wait is not None and wait <= 10 for wait in waits)
