"""What tools ask for by its type: found when it was opened, and named in the log when it was not."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError

from entra_mcp.toolkit import Service
from entra_mcp.toolkit.services import as_lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Database:
    """What the server opened."""

    name = "orders"


class Queue:
    """What nobody opened."""


async def ask(database: Database = Service(Database)) -> str:
    return database.name


async def send(queue: Queue = Service(Queue)) -> str:
    return str(queue)


@asynccontextmanager
async def opened(_server: FastMCP) -> AsyncGenerator[dict[str, Any]]:
    yield as_lifespan([Database()])


@pytest.fixture
def server() -> FastMCP:
    server = FastMCP("test", lifespan=opened, mask_error_details=True)
    server.tool(ask)
    server.tool(send)
    return server


async def test_service_is_found_by_its_type(server: FastMCP) -> None:
    async with Client(server) as client:
        assert (await client.call_tool("ask")).data == "orders"


async def test_service_that_nobody_opened_is_named_in_the_log_alone(
    server: FastMCP, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("fastmcp"), "propagate", True)
    async with Client(server) as client:
        with pytest.raises(ToolError, match=r"^Error calling tool 'send'$"):
            await client.call_tool("send")
    assert "No Queue was opened. Open it in the function that the app's Server has for services." in caplog.text


def test_two_services_of_one_type_are_refused() -> None:
    with pytest.raises(ValueError, match="two of the type Database"):
        as_lifespan([Database(), Queue(), Database()])
