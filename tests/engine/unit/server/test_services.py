"""What an app opens: once, with its settings, before the first request, and closed at the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from fastmcp import Client

from entra_mcp.definition import Server, Startup
from entra_mcp.errors import SettingsError
from entra_mcp.settings import AppSettings, Settings, load, unknown_names
from entra_mcp.toolkit import Service
from tests.support.app import components
from tests.support.instances import served

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


class OrderSettings(AppSettings):
    """Settings as a fork has them."""

    orders_url: str
    orders_limit: int = 10


class Orders:
    """A client of an API."""

    def __init__(self, url: str) -> None:
        self.url = url


async def where(orders: Orders = Service(Orders), settings: OrderSettings = Service(OrderSettings)) -> str:
    """Say where the orders are."""
    return f"{orders.url} {settings.orders_limit}"


async def test_services_are_opened_once_and_closed_once(
    load_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_URL", "https://orders.contoso.com")
    monkeypatch.setenv("ORDERS_LIMIT", "7")
    steps: list[str] = []

    @asynccontextmanager
    async def open_orders(startup: Startup[OrderSettings]) -> AsyncGenerator[list[object]]:
        steps.append("open")
        yield [Orders(startup.settings.orders_url)]
        steps.append("close")

    definition = Server(
        name="Fork", instructions="", components=(components,), settings=OrderSettings, services=open_orders
    )
    async with served(load_settings(), definition=definition) as server:
        server.tool(where)
        for _ in range(2):
            async with Client(server) as client:
                assert (await client.call_tool("where")).data == "https://orders.contoso.com 7"
        assert steps == ["open"]
    assert steps == ["open", "close"]


def test_faults_of_both_kinds_of_settings_are_in_one_list(
    load_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_settings()
    monkeypatch.delenv("ENTRA_CLIENT_ID")
    monkeypatch.setenv("ORDERS_LIMIT", "many")
    with pytest.raises(SettingsError) as caught:
        load(Settings, OrderSettings)
    assert [fault.setting for fault in caught.value.faults] == ["ENTRA_CLIENT_ID", "ORDERS_URL", "ORDERS_LIMIT"]
    assert "many" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MCP_SERVERNAME", ["MCP_SERVERNAME is no setting: did you mean MCP_SERVER_NAME?"]),
        ("ENTRA_TENANT", ["ENTRA_TENANT is no setting: did you mean ENTRA_TENANT_ID?"]),
        ("MCP_X", ["MCP_X is no setting."]),
        ("MCP_BASE_URL", []),
        ("ORDERS_UR", []),
        ("mcp_base_url", []),
    ],
)
def test_unknown_name_is_reported_with_the_nearest_known_one(name: str, told: list[str]) -> None:
    assert unknown_names([name, "PATH"], Settings.names() | OrderSettings.names()) == told
