"""The real app behind the Functions host, over plain HTTP: first requests, cookies, paths that are not there."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest

from entra_mcp.web.edge import COMMENT
from tests.support.mcp import tool_call
from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from tests.support.stack import Stack


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as http:
        yield http


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/api/mcp", "/mcp/x"])
async def test_unknown_path_is_not_found(http: httpx2.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "MADE_UP"])
async def test_method_that_the_function_does_not_name_ends_at_the_host(http: httpx2.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/mcp")

    assert answer.status_code == 404
    assert answer.content == b""


async def test_call_that_reports_nothing_sends_its_first_bytes_at_once(http: httpx2.AsyncClient) -> None:
    client = OAuthClient(http=http)
    token = (await client.sign_in())["access_token"]
    sent = tool_call("count_slowly", {"to": 10, "seconds_each": 60}, token=token)
    async with http.stream("POST", "/mcp", **sent) as answer:
        assert answer.status_code == 200
        assert await anext(answer.aiter_raw()) == COMMENT


@asynccontextmanager
async def gate(target: str) -> AsyncGenerator[tuple[str, asyncio.Event]]:
    """The https address of a way to `target` that lets nothing through before the event is set."""
    host, port = urlsplit(target).hostname, urlsplit(target).port
    opened = asyncio.Event()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await opened.wait()
        onward = await asyncio.open_connection(host, port)
        # Either side may reset the connection; what that means is for them to say.
        await asyncio.gather(forward(reader, onward[1]), forward(onward[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", opened
    finally:
        opened.set()
        server.close()


async def test_first_requests_at_once_wait_for_one_start(stack: Stack, tmp_path: Path) -> None:
    host = FunctionsHost(port=free_ports(1)[0], log=tmp_path / "host.log")
    limits = httpx2.Limits(max_connections=64)
    async with (
        gate(stack.standins.vault_url) as (vault_url, opened),
        httpx2.AsyncClient(base_url=host.url, timeout=60, limits=limits) as http,
    ):
        try:
            await asyncio.to_thread(
                host.start, stack.environment | {"MCP_BASE_URL": host.url, "KEY_VAULT_URL": vault_url}
            )
            requests = [asyncio.create_task(http.post("/mcp", json={})) for _ in range(64)]
            assert (await http.get("/healthz")).status_code == 200
            _, waiting = await asyncio.wait(requests, timeout=1.5)
            assert len(waiting) == 64
            opened.set()
            answers = await asyncio.gather(*requests)
        finally:
            await asyncio.to_thread(host.stop)
    assert {answer.status_code for answer in answers} == {401}
    assert (host.log.count("is up at"), host.log.count("did not start")) == (1, 0)


async def test_start_includes_the_warm_up(http: httpx2.AsyncClient, stack: Stack) -> None:
    await http.get("/")
    before, up, _ = stack.host.log.partition(" is up at ")
    assert up
    assert re.search(r"Warmed up with [1-9]\d* tools", before)


async def test_consent_cookies_arrive_as_the_server_set_them(http: httpx2.AsyncClient) -> None:
    client = OAuthClient(http=http)
    await client.register()
    page = await client.consent_page()
    cookies = page.headers.get_list("set-cookie")
    assert cookies
    for cookie in cookies:
        name, _, rest = cookie.partition("=")
        value, *attributes = rest.split("; ")
        assert re.fullmatch(r"[\w-]+", name)
        # The value is signed, and quoted if it has a `=`: what encodes it again on the way breaks the signature.
        assert re.fullmatch(r'"[\w.:=+/-]+"|[\w.:+/-]+', value)
        assert {attribute.partition("=")[0].lower() for attribute in attributes} <= {
            "httponly",
            "max-age",
            "path",
            "samesite",
        }
    assert (await client.consent(page)).status_code == 302


async def test_consent_without_its_cookies_is_refused(http: httpx2.AsyncClient) -> None:
    client = OAuthClient(http=http)
    await client.register()
    page = await client.consent_page()
    http.cookies.clear()
    assert (await client.consent(page)).status_code in {400, 403}


async def test_invocation_id_of_the_outside_is_not_believed(http: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(http.get("/healthz", headers={"x-ms-invocation-id": "the-same"}) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {200}
