"""Headers of a call are checked against the schema of its tool, without a list of all tools after the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, override

import httpx2
import pytest
from fastmcp import FastMCP
from fastmcp.server.middleware import Middleware
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from pydantic import BaseModel, Field

from entra_mcp.server.warmup import warm_up
from tests.support.mcp import SESSIONLESS, structured, tool_call

if TYPE_CHECKING:
    from fastmcp.server.middleware import CallNext, MiddlewareContext


class Listings(Middleware):
    """How often all tools were listed."""

    count = 0

    @override
    async def on_list_tools(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        self.count += 1
        return await call_next(context)


class Order(BaseModel):
    """Where it goes."""

    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Nested"})]


async def ship(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Ship to a region."""
    return region


async def order(order: Order) -> str:
    """Order for a region."""
    return order.region


@pytest.mark.parametrize(
    ("tool", "arguments", "header", "value", "status"),
    [
        ("ship", {"region": "north"}, "Mcp-Param-Region", "north", 200),
        ("ship", {"region": "north"}, "Mcp-Param-Region", "south", 400),
        ("ship", {"region": "north"}, "Mcp-Param-Other", "south", 400),
        ("order", {"order": {"region": "north"}}, "Mcp-Param-Nested", "north", 200),
        ("order", {"order": {"region": "north"}}, "Mcp-Param-Nested", "south", 400),
    ],
)
async def test_header_is_held_to_the_argument(
    tool: str, arguments: dict[str, Any], header: str, value: str, status: int
) -> None:
    listings = Listings()
    server = FastMCP("test", middleware=[listings])
    for each in (ship, order):
        server.tool(each)
    await warm_up(server)
    listings.count = 0
    app = server.http_app(path="/mcp", stateless_http=True)
    request = tool_call(tool, arguments, protocol=SESSIONLESS)
    request["headers"][header] = value
    transport = StreamingASGITransport(app)
    async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        response = await http.post("/mcp", **request)
    assert response.status_code == status
    if status == 200:
        assert structured(response) == {"result": "north"}
    assert listings.count == 0
