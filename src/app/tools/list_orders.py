"""The caller's orders: an API of your own, called on the caller's behalf, page by page."""

from __future__ import annotations

from typing import Annotated

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import Field

from app.samples.orders import READ_ORDERS, OrderPage, OrdersApi
from entra_mcp.downstream import DelegatedToken, OnBehalfOf
from entra_mcp.toolkit import Service, glyph


@tool(
    icons=[glyph("M5 4h14v17l-3-2-4 2-4-2-3 2z", "M8 9h8", "M8 13h8")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=True),
)
async def list_orders(
    limit: Annotated[int, Field(ge=1, le=50, description="How many orders at a time.")] = 3,
    cursor: Annotated[str | None, Field(max_length=200, description="The cursor of the page before.")] = None,
    token: DelegatedToken = OnBehalfOf(READ_ORDERS, api="Orders"),
    orders: OrdersApi = Service(OrdersApi, optional=True),
) -> OrderPage:
    """List your orders, some at a time."""
    return await orders.page(await token.get(), limit=limit, cursor=cursor)
