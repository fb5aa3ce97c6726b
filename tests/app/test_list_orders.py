"""An API called with the caller's token: over its stand-in, which checks the token, pages and refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from app.samples.orders import OrdersApi
from app.server import server as definition
from entra_mcp.http_client import http_client
from local.directory import load_directory
from tests.support.instances import served
from tests.support.ports import free_ports
from tests.support.standins import DIRECTORY, StandIns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.samples.orders import OrderPage
    from entra_mcp.settings import Settings

AUDIENCE = load_directory(DIRECTORY).apis["orders"].client_id


@pytest.fixture(autouse=True)
def no_faults_left(standins: StandIns) -> Iterator[None]:
    yield
    standins.control("DELETE", "/orders/faults")


def token(standins: StandIns, **changes: Any) -> str:  # noqa: ANN401 - any claim
    return standins.token("user", **{"aud": AUDIENCE, "scp": "Orders.Read", **changes})


async def page(url: str, token: str, *, cursor: str | None = None) -> OrderPage:
    async with http_client(base_url=url, timeout=10.0) as http:
        return await OrdersApi(http=http).page(token, limit=2, cursor=cursor)


async def test_orders_come_page_by_page(standins: StandIns) -> None:
    pages: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        found = await page(standins.orders_url, token(standins), cursor=cursor)
        pages.append([order.id for order in found.items])
        cursor = found.next_cursor
    assert pages == [["1001", "1002"], ["1003", "1004"], ["1005"]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"aud": "22222222-2222-4222-8222-222222222222"}, "did not accept your sign-in"),
        ({"exp": 1}, "did not accept your sign-in"),
        ({"scp": "Orders.Write"}, "not allowed to read orders"),
    ],
    ids=str,
)
async def test_refused_token_tells_what_to_do(standins: StandIns, changes: dict[str, object], told: str) -> None:
    with pytest.raises(ToolError, match=told):
        await page(standins.orders_url, token(standins, **changes))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 429, "retry_after": 7}, r"is busy\. Try again in 7 s\."),
        ({"status": 503}, r"is busy\. Try again in a moment\."),
        ({"status": 500}, "failed"),
    ],
    ids=str,
)
async def test_failure_tells_when_to_try_again(standins: StandIns, fault: dict[str, int], told: str) -> None:
    standins.control("POST", "/orders/faults", fault)
    with pytest.raises(ToolError, match=told) as caught:
        await page(standins.orders_url, token(standins))
    assert "control API" not in str(caught.value)


async def test_api_that_is_gone_or_has_no_such_list_is_told(standins: StandIns) -> None:
    (port,) = free_ports(1)
    with pytest.raises(ToolError, match="did not answer"):
        await page(f"https://127.0.0.1:{port}", "token")
    with pytest.raises(ToolError, match="check ORDERS_API_URL"):
        await page(f"{standins.entra_url}/apis/nothing", token(standins))
    with pytest.raises(ToolError, match="not one of this list"):
        await page(standins.orders_url, token(standins), cursor="made up")


@pytest.mark.parametrize("url", ["https://orders.example", ""])
async def test_list_orders_is_offered_where_there_is_an_api(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ORDERS_API_URL", url)
    async with served(settings, definition=definition) as server, Client(server) as client:
        assert ("list_orders" in {tool.name for tool in await client.list_tools()}) is bool(url)
