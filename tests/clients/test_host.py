"""The real app behind the Functions host, over plain HTTP: first requests, cookies, paths that are not there."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.stack import Stack


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as http:
        yield http


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/api/mcp", "/mcp/x"])
async def test_unknown_path_is_not_found_at_once(http: httpx2.AsyncClient, path: str) -> None:
    async with asyncio.timeout(5):
        assert (await http.get(path)).status_code == 404


async def test_first_requests_at_once_meet_one_start(stack: Stack) -> None:
    await asyncio.to_thread(stack.host.stop)
    before = stack.host.log.count("is up at")
    await asyncio.to_thread(stack.host.start, stack.environment)
    limits = httpx2.Limits(max_connections=64)
    async with httpx2.AsyncClient(base_url=stack.url, timeout=60, limits=limits) as http:
        answers = await asyncio.gather(*(http.post("/mcp", json={}) for _ in range(64)))
    assert {answer.status_code for answer in answers} == {401}
    assert stack.host.log.count("is up at") == before + 1


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
        # FastMCP signs the value, and quotes it for its `=`: what encodes it anew on the way breaks the signature.
        assert re.fullmatch(r'"[\w.:=+/-]+"', value)
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
