"""An API called with the caller's token: over its stand-in, which checks the token, pages and refuses."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError

from entra_mcp import tools
from entra_mcp.errors import SettingsError
from entra_mcp.samples.orders import OrdersApi, open_orders
from local.directory import load_directory
from tests.support.ports import free_ports
from tests.support.standins import DIRECTORY, StandIns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

AUDIENCE = load_directory(DIRECTORY).client_id("orders")


@pytest.fixture(autouse=True)
def no_faults_left(standins: StandIns) -> Iterator[None]:
    yield
    standins.control("DELETE", "/orders/faults")


def token(standins: StandIns, **changes: Any) -> str:  # noqa: ANN401 any claim
    return standins.token("user", **{"aud": AUDIENCE, "scp": "Orders.Read", **changes})


@asynccontextmanager
async def orders_at(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[OrdersApi]:
    monkeypatch.setenv("ORDERS_API_URL", url)
    async with open_orders() as orders:
        yield orders


async def test_orders_come_page_by_page(standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[list[str]] = []
    cursor: str | None = None
    async with orders_at(standins.orders_url, monkeypatch) as orders:
        while cursor is not None or not pages:
            page = await orders.page(token(standins), limit=2, cursor=cursor)
            pages.append([order.id for order in page.items])
            cursor = page.next_cursor
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
async def test_refused_token_tells_what_to_do(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], told: str
) -> None:
    async with orders_at(standins.orders_url, monkeypatch) as orders:
        with pytest.raises(ToolError, match=told):
            await orders.page(token(standins, **changes), limit=2, cursor=None)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 429, "retry_after": 7}, r"is busy\. Try again in 7 s\."),
        ({"status": 429}, r"is busy\. Try again in a moment\."),
        ({"status": 503, "retry_after": 2}, r"is busy\. Try again in 2 s\."),
        ({"status": 500}, "failed"),
        ({"status": 502}, "failed"),
    ],
    ids=str,
)
async def test_failure_tells_when_to_try_again_and_nothing_of_its_text(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch, fault: dict[str, int], told: str
) -> None:
    standins.control("POST", "/orders/faults", fault)
    async with orders_at(standins.orders_url, monkeypatch) as orders:
        with pytest.raises(ToolError, match=told) as caught:
            await orders.page(token(standins), limit=2, cursor=None)
        assert "control API" not in str(caught.value)
        assert (await orders.page(token(standins), limit=2, cursor=None)).items


@pytest.mark.parametrize("cursor", ["x", "-1", "99", "2&limit=50"])
async def test_invented_cursor_begins_nowhere(standins: StandIns, monkeypatch: pytest.MonkeyPatch, cursor: str) -> None:
    async with orders_at(standins.orders_url, monkeypatch) as orders:
        with pytest.raises(ToolError, match="not one of this list"):
            await orders.page(token(standins), limit=2, cursor=cursor)


async def test_address_without_the_list_is_the_owners_to_check(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with orders_at(f"{standins.entra_url}/apis/nothing", monkeypatch) as orders:
        with pytest.raises(ToolError, match="check ORDERS_API_URL"):
            await orders.page(token(standins), limit=2, cursor=None)


async def test_api_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    async with orders_at(f"https://127.0.0.1:{port}", monkeypatch) as orders:
        with pytest.raises(ToolError, match="did not answer"):
            await orders.page("token", limit=2, cursor=None)


async def test_server_without_an_address_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with orders_at("", monkeypatch) as orders:
        with pytest.raises(ToolError, match="set ORDERS_API_URL"):
            await orders.page("token", limit=2, cursor=None)


@pytest.mark.parametrize(
    ("url", "on_behalf_of", "listed"),
    [("https://orders.example", True, True), ("https://orders.example", False, False), ("", True, False)],
)
async def test_list_orders_is_offered_where_it_can_work(
    monkeypatch: pytest.MonkeyPatch, url: str, on_behalf_of: bool, listed: bool
) -> None:
    monkeypatch.setenv("ORDERS_API_URL", url)
    server = FastMCP("test")
    tools.register(server, on_behalf_of=on_behalf_of)
    async with Client(server) as client:
        assert ("list_orders" in {tool.name for tool in await client.list_tools()}) == listed


@pytest.mark.parametrize("url", ["http://orders.example", "orders.example", "https://orders.example?key=hunter2"])
async def test_faulty_address_keeps_the_server_from_starting_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(SettingsError, match="ORDERS_API_URL: is an https:// address") as caught:
        async with orders_at(url, monkeypatch):
            pass
    assert "orders.example" not in str(caught.value)
