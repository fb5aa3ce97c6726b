"""Answers have one form: behind the Functions host and without it, for HEAD and GET, in every process."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from entra_mcp.functions import METHODS
from entra_mcp.web.metadata import ALIASES
from tests.engine.flows.web.conftest import CHAT
from tests.support.mcp import request, tool_call
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2
    from starlette.types import ASGIApp

    from tests.support.oauth import OAuthClient

pytestmark = pytest.mark.asyncio(loop_scope="package")

METADATA = "/.well-known/oauth-authorization-server"
PATHS = [
    "/",
    "/readyz",
    "/mcp",
    "/authorize",
    "/consent",
    "/auth/callback",
    "/token",
    "/revoke",
    "/register",
    *(path for paths in ALIASES.items() for path in (paths[0], *paths[1])),
]


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_head_is_answered_as_get_without_the_body(http: httpx2.AsyncClient, path: str, accept: str) -> None:
    get = await http.get(path, headers={"Accept": accept})
    head = await http.head(path, headers={"Accept": accept})

    assert head.content == b""
    assert head.status_code == get.status_code
    for name in ("content-type", "content-length", "allow", "cache-control"):
        assert head.headers.get(name) == get.headers.get(name), name


@pytest.mark.parametrize("path", [METADATA, "/token", "/register", "/mcp"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_vary_names_each_header_once(https: httpx2.AsyncClient, path: str, method: str) -> None:
    preflight = {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else {}
    answer = await https.request(method, path, headers={"Origin": CHAT, **preflight})
    names = [name.strip().lower() for name in answer.headers.get("vary", "").split(",")]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_other_methods_are_told_which_are_allowed_in_one_order(
    http: httpx2.AsyncClient, path: str, accept: str
) -> None:
    """RFC 9110 section 15.5.6."""
    answers = {method: await http.request(method, path, headers={"Accept": accept}) for method in METHODS}
    refused = {method: answer for method, answer in answers.items() if answer.status_code == 405}

    assert {"PATCH", "PUT"} <= set(refused)
    for method, answer in refused.items():
        allowed = answer.headers["allow"].split(", ")
        assert allowed == sorted(allowed)
        assert set(allowed) == set(METHODS) - set(refused), method


async def test_two_authorization_headers_are_refused_even_if_both_are_good(client: OAuthClient) -> None:
    token = (await client.sign_in())["access_token"]
    call = tool_call("add", {"a": 1, "b": 1}, token=token)
    assert (await client.http.post("/mcp", **call)).status_code == 200

    headers = [*call["headers"].items(), ("Authorization", f"Bearer {token}")]
    assert (await client.http.post("/mcp", headers=headers, json=call["json"])).status_code == 401


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def port(app: ASGIApp) -> AsyncIterator[int]:
    async with serving(app) as port:
        yield port


@pytest.mark.parametrize("behaviour", ["leaves", "sends too much"])
async def test_call_whose_upload_breaks_off_writes_no_error_and_no_traceback(
    client: OAuthClient, port: int, caplog: pytest.LogCaptureFixture, behaviour: str
) -> None:
    token = (await client.sign_in())["access_token"]
    call = request("tools/list", token=token)
    head = "".join(f"{name}: {value}\r\n" for name, value in call["headers"].items())
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    caplog.clear()
    caplog.set_level(logging.INFO)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}"
        f"Transfer-Encoding: chunked\r\n\r\n".encode()
    )
    if behaviour == "leaves":
        writer.write(b"1\r\n{\r\n")
        await writer.drain()
        await asyncio.sleep(0.3)
    else:
        for _ in range(5):
            writer.write(piece)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()
    await asyncio.sleep(0.3)

    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING or record.exc_info
    ] == []
