"""Requests for other hosts and from other sites' pages are refused, behind the Functions host and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.flows.web.conftest import CHAT, DOMAIN, FUNCTION_APP

if TYPE_CHECKING:
    import httpx2

    from tests.support.oauth import OAuthClient

pytestmark = pytest.mark.asyncio(loop_scope="package")

WORKER = {"Host": "127.0.0.1:41234", "X-MS-Invocation-Id": "1"}
"""What the Functions host sends the worker, which keeps its own address as `Host`."""


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:443",
        "mcp.contoso.com.evil.example",
        "evil.mcp.contoso.com",
        "mcp.contoso.com@evil.example",
        "mcp.contoso.com evil.example",
        "localhost",
        "127.0.0.1",
        "",
        ":443",
    ],
)
async def test_forged_host_is_misdirected_on_every_route(https: httpx2.AsyncClient, host: str) -> None:
    for path in ("/", "/mcp", "/register", "/consent", "/.well-known/oauth-authorization-server", "/nothing"):
        assert (await https.get(path, headers={"Host": host})).status_code == 421


@pytest.mark.parametrize("path", ["/mcp", "/register", "/token", "/authorize", "/consent", "/auth/callback"])
async def test_path_with_a_line_break_is_none_of_this_servers(https: httpx2.AsyncClient, path: str) -> None:
    """A route takes it for its own, and what guards the route does not."""
    for request in (("GET", f"{path}%0A"), ("POST", f"{path}%0A"), ("POST", f"{path}%0D%0A"), ("POST", f"{path}/%0A")):
        answer = await https.request(*request, headers={"Origin": "https://evil.example"}, json={})
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), request


@pytest.mark.parametrize("host", ["mcp.contoso.com", "MCP.contoso.com:443", FUNCTION_APP, "proxy.contoso.com"])
async def test_own_hosts_are_served(https: httpx2.AsyncClient, host: str) -> None:
    assert (await https.get("/readyz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["localhost:7071", "127.0.0.1:7071", "[::1]:7071", "localhost"])
async def test_every_name_of_this_machine_is_served_on_this_machine(http: httpx2.AsyncClient, host: str) -> None:
    assert (await http.get("/", headers={"Host": host})).status_code == 200


async def test_host_behind_the_functions_host_is_the_one_it_forwards(https: httpx2.AsyncClient) -> None:
    async def status(*forwarded: str) -> int:
        headers = [*WORKER.items(), *(("X-Forwarded-Host", value) for value in forwarded)]
        return (await https.get("/readyz", headers=headers)).status_code

    assert await status("mcp.contoso.com") == 200
    assert await status("evil.example", "mcp.contoso.com") == 200, "the last one is the host's own"
    assert await status("mcp.contoso.com", "evil.example") == 421
    assert await status("mcp.contoso.com, evil.example") == 421
    assert await status() == 421


async def test_forwarded_host_counts_for_nothing_without_the_functions_host(https: httpx2.AsyncClient) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "mcp.contoso.com"}
    assert (await https.get("/readyz", headers=headers)).status_code == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://mcp.contoso.com", f"{DOMAIN}.evil.example", f"{DOMAIN}:8443", "null", ""]
)
async def test_call_from_a_page_of_another_origin_is_forbidden(https: httpx2.AsyncClient, origin: str) -> None:
    response = await https.post("/mcp", headers={"Origin": origin}, json={})
    assert (response.status_code, response.json()["error"]) == (403, "forbidden_origin")


@pytest.mark.parametrize("origin", [DOMAIN, CHAT, None])
async def test_call_from_an_own_page_an_accepted_one_or_none_is_not(
    https: httpx2.AsyncClient, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert (await https.post("/mcp", headers=headers, json={})).status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", CHAT])
async def test_consent_posted_from_another_origin_is_forbidden(client: OAuthClient, origin: str) -> None:
    await client.register()
    page = await client.consent_page()
    client.http.headers["Origin"] = origin
    response = await client.consent(page)
    assert response.status_code == 403
    assert "location" not in response.headers


async def test_consent_posted_from_its_own_page_goes_on(client: OAuthClient) -> None:
    await client.register()
    page = await client.consent_page()
    client.http.headers["Origin"] = "http://localhost:7071"
    assert (await client.consent(page)).status_code == 302
