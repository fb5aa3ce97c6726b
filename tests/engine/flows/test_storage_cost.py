"""How many requests to Table Storage a login, a refresh and a call take, as `bench/costs.py` has it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from bench.costs import CALL, LOGIN, REFRESH
from tests.engine.flows.conftest import proxied
from tests.support.mcp import SESSIONLESS, request, structured, tool_call

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from tests.support.fault_proxy import FaultProxy
    from tests.support.oauth import OAuthClient

PROTOCOLS = ["2025-11-25", SESSIONLESS]


async def test_cost_of_start_login_refresh_and_call(environment: Callable[..., None], azurite: str) -> None:
    async with proxied(environment, azurite) as (proxy, client):
        assert proxy.requests == {"POST": 1}, "it creates the table, with MCP_CREATE_TABLE only; else a GET"
        proxy.requests.clear()
        tokens = await client.sign_in()
        assert proxy.requests == LOGIN.storage
        assert await calls(proxy, client, tokens["access_token"]) == [CALL.stored, 0, 0]
        proxy.requests.clear()
        tokens = (await client.refresh(tokens["refresh_token"])).json()
        assert proxy.requests == REFRESH.storage
        assert await calls(proxy, client, tokens["access_token"]) == [CALL.stored, 0, 0]


async def test_requests_to_the_server_and_to_entra_of_a_login_and_a_refresh(
    environment: Callable[..., None], azurite: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[httpx2.Request] = []

    async def note(request: httpx2.Request) -> None:
        sent.append(request)

    async with proxied(environment, azurite) as (_, client):
        client.http.event_hooks["request"].append(note)
        with caplog.at_level(logging.INFO, "httpx2"):
            tokens = await client.sign_in()
            assert (len(sent), asked_entra(caplog)) == (LOGIN.requests, LOGIN.tokens)
            sent.clear()
            caplog.clear()
            await client.refresh(tokens["refresh_token"])
            assert (len(sent), asked_entra(caplog)) == (REFRESH.requests, REFRESH.tokens)


def asked_entra(caplog: pytest.LogCaptureFixture) -> int:
    """How often a token was asked for."""
    return sum("/oauth2/v2.0/token" in line for line in caplog.messages)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, [1, 0, 0], id="as the settings are"),
        pytest.param({"MCP_UPSTREAM_TOKEN_CACHE_SECONDS": "0"}, [1, 1, 1], id="strict"),
    ],
)
async def test_cost_of_a_call_by_what_is_cached(
    environment: Callable[..., None], azurite: str, protocol: str, settings: dict[str, str], expected: list[int]
) -> None:
    async with proxied(environment, azurite, **settings) as (proxy, client):
        token = (await client.sign_in())["access_token"]
        assert await calls(proxy, client, token, protocol=protocol) == expected


async def test_burst_of_an_agent_pays_one_read_of_each_row(environment: Callable[..., None], azurite: str) -> None:
    """Also when its requests come at once."""
    async with proxied(environment, azurite) as (proxy, client):
        token = (await client.sign_in())["access_token"]
        proxy.requests.clear()
        methods = ("server/discover", "tools/list", "resources/list", "prompts/list")
        listings = [
            client.http.post("/mcp", **request(method, protocol=SESSIONLESS, token=token)) for method in methods
        ]
        work = [client.call(token, "add", {"a": number, "b": 1}) for number in range(8)]
        answers = await asyncio.gather(*listings, *work)
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert proxy.requests == {"GET": 1}


@pytest.mark.parametrize(("protocol", "expected"), list(zip(PROTOCOLS, ([1, 0, 0], [2, 1, 1]), strict=True)))
async def test_visibility_rules_are_read_where_tools_may_write_them(
    environment: Callable[..., None], azurite: str, protocol: str, expected: list[int]
) -> None:
    async with proxied(environment, azurite, MCP_VISIBILITY_RULES="true") as (proxy, client):
        token = (await client.sign_in())["access_token"]
        assert await calls(proxy, client, token, protocol=protocol) == expected


async def calls(proxy: FaultProxy, client: OAuthClient, token: str, *, protocol: str = PROTOCOLS[0]) -> list[int]:
    """Returns how many requests each of three tool calls takes."""
    costs: list[int] = []
    for _ in range(3):
        proxy.requests.clear()
        call = tool_call("add", {"a": 1, "b": 1}, protocol=protocol, token=token)
        assert structured(await client.http.post("/mcp", **call)) == {"result": 2}
        assert set(proxy.requests) <= {"GET"}
        costs.append(proxy.total)
    return costs
