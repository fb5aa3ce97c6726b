"""What keeps strangers out holds behind the Functions host, whose headers it rests on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.oauth import REDIRECT_URI, OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from tests.support.stack import Stack

JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as http:
        yield http


async def test_forged_host_is_misdirected_behind_the_functions_host(http: httpx2.AsyncClient) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
        {"Host": "evil.example", "X-Forwarded-Host": "localhost", "X-MS-Invocation-Id": "1"},
    ):
        assert (await http.get("/readyz", headers=headers)).status_code == 421


async def test_forged_forwarded_host_keeps_nobody_out(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/readyz", headers={"X-Forwarded-Host": "evil.example"})).status_code == 200


async def test_forged_origin_is_forbidden_behind_the_functions_host(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/mcp", headers={"Origin": "https://evil.example"}, json={})).status_code == 403


@pytest.mark.long
async def test_forged_addresses_share_one_limit_behind_the_functions_host(stack: Stack, tmp_path: Path) -> None:
    host = FunctionsHost(port=free_ports(1)[0], log=tmp_path / "host.log")
    changes = {"MCP_BASE_URL": host.url, "MCP_REGISTRATIONS_PER_MINUTE": "5"}
    try:
        await asyncio.to_thread(host.start, stack.environment | changes)
        async with httpx2.AsyncClient(base_url=host.url, timeout=60) as http:
            statuses: list[int] = []
            for number in range(8):
                forged = {"X-Forwarded-For": f"203.0.113.{number}", "Client-IP": f"203.0.113.{number}"}
                answer = await http.post("/register", headers=forged, json={"redirect_uris": [REDIRECT_URI]})
                statuses.append(answer.status_code)
    finally:
        await asyncio.to_thread(host.stop)
    assert statuses == [201] * 5 + [429] * 3


async def test_trace_of_the_client_names_the_answer_behind_the_functions_host(http: httpx2.AsyncClient) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await http.get("/nothing", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert response.json()["correlation_id"] == trace_id


@pytest.mark.parametrize("path", ["/token", "/register"])
async def test_endless_body_is_refused_behind_the_functions_host(stack: Stack, path: str) -> None:
    address = urlsplit(stack.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nTransfer-Encoding: chunked\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode())
    status = asyncio.create_task(reader.readline())
    for _ in range(4096):
        if status.done():
            break
        writer.write(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.0005)
    assert (await asyncio.wait_for(status, 10)).split()[1] == b"413"
    writer.transport.abort()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("megabytes", "pause", "times"), [(5, 0, 3), (50, 0, 3), (5, 0.03, 1)])
async def test_refusal_of_a_large_call_arrives_behind_the_functions_host(
    stack: Stack, http: httpx2.AsyncClient, megabytes: int, pause: float, times: int, chunked: bool
) -> None:
    """Its whole body is sent first: a sender need not look at the answer before. A declared length needs no caller."""
    token = (await OAuthClient(http=http).sign_in())["access_token"]
    for bearer in ("", "made-up", token):
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}

        async def pieces() -> AsyncGenerator[bytes]:
            for _ in range(20 * megabytes):
                yield b"a" * 50_000
                await asyncio.sleep(pause)

        length = {} if chunked else {"Content-Length": str(megabytes * 10**6)}
        for _ in range(times):
            answer = await http.post("/mcp", content=pieces(), headers=headers | length | JSON)
            assert answer.status_code == (401 if chunked and bearer != token else 413)
            assert answer.json()["error"]


async def test_connect_begins_no_invocation_since_no_route_names_it(stack: Stack) -> None:
    address = urlsplit(stack.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 404")
    assert b"content-length: 0" in head.lower(), "the host's own, where the server's has a body"


async def test_chunked_body_arrives_behind_the_functions_host(http: httpx2.AsyncClient) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b'{"redirect_uris": '
        yield b'["http://localhost:5000/cb"], "client_name": 1}'

    response = await http.post("/register", content=pieces())
    assert response.json()["error"] == "invalid_client_metadata"
