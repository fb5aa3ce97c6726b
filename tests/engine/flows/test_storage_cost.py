"""How many requests to Table Storage a login, a refresh and a call take: the numbers that docs/storage.md states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from fastmcp.utilities.asgi_transport import StreamingASGITransport

from tests.engine.flows.conftest import BASE_URL
from tests.support.app.server import running_app
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 3
"""What is paid at start-up so that the first user need not."""

LOGIN = {"GET": 11, "POST": 1, "PUT": 10, "DELETE": 2}
REFRESH = {"GET": 4, "POST": 1, "PUT": 5}


async def test_cost_of_login_refresh_and_call(environment: Callable[..., None], azurite: str) -> None:
    async with fault_proxy(azurite) as (proxy, connection_string):
        environment(AzureWebJobsStorage=connection_string)
        async with (
            running_app() as app,
            httpx2.AsyncClient(transport=StreamingASGITransport(app), base_url=BASE_URL, timeout=30) as http,
        ):
            assert proxy.requests == {"POST": 1, "GET": WARM_UP}, "POST makes the table, with MCP_CREATE_TABLE only"
            client = OAuthClient(http=http)
            proxy.requests.clear()
            tokens = await client.sign_in()
            assert proxy.requests == LOGIN
            assert await calls(proxy, client, tokens["access_token"]) == [2, 1, 1]
            proxy.requests.clear()
            tokens = (await client.refresh(tokens["refresh_token"])).json()
            assert proxy.requests == REFRESH
            assert await calls(proxy, client, tokens["access_token"]) == [2, 1, 1]


@pytest.mark.parametrize(
    ("mappings", "tokens", "expected"), [("0", "0", [2, 2, 2]), ("60", "0", [2, 1, 1]), ("60", "60", [2, 0, 0])]
)
async def test_cost_of_a_call_by_what_is_cached(
    environment: Callable[..., None], azurite: str, mappings: str, tokens: str, expected: list[int]
) -> None:
    async with fault_proxy(azurite) as (proxy, connection_string):
        environment(
            AzureWebJobsStorage=connection_string,
            MCP_TOKEN_MAPPING_CACHE_SECONDS=mappings,
            MCP_UPSTREAM_TOKEN_CACHE_SECONDS=tokens,
        )
        async with (
            running_app() as app,
            httpx2.AsyncClient(transport=StreamingASGITransport(app), base_url=BASE_URL, timeout=30) as http,
        ):
            client = OAuthClient(http=http)
            token = (await client.sign_in())["access_token"]
            assert await calls(proxy, client, token) == expected


async def calls(proxy: FaultProxy, client: OAuthClient, token: str) -> list[int]:
    """Returns how many requests each of three tool calls takes."""
    costs: list[int] = []
    for _ in range(3):
        proxy.requests.clear()
        assert structured(await client.call(token, "add", {"a": 1, "b": 1})) == {"result": 2}
        assert set(proxy.requests) <= {"GET"}
        costs.append(proxy.total)
    return costs
