"""What the warm-up does before the first user comes, and what it must not do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, override

import pytest
from fastmcp import FastMCP
from fastmcp.server.middleware import Middleware
from key_value.aio.errors import StoreConnectionError
from key_value.aio.stores.memory import MemoryStore

from entra_mcp.server.warmup import warm_up

if TYPE_CHECKING:
    from typing import Any

    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from key_value.aio.stores.base import (
        ManagedEntry,  # pyright: ignore[reportPrivateImportUsage] - what the hook returns
    )


class Requests(Middleware):
    """The methods of the requests that reach the server."""

    def __init__(self) -> None:
        self.methods: list[str | None] = []

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        self.methods.append(context.method)
        return await call_next(context)


class CountingStore(MemoryStore):
    """A store that counts what is read from it; it can be out of reach."""

    def __init__(self, *, reachable: bool = True) -> None:
        super().__init__()
        self._reachable = reachable
        self.reads = 0

    @override
    async def _get_managed_entry(self, *, key: str, collection: str) -> ManagedEntry | None:
        self.reads += 1
        if not self._reachable:
            raise StoreConnectionError("table_storage: no answer within 3 s")
        return await super()._get_managed_entry(key=key, collection=collection)


async def bill() -> str:
    """A tool that nobody has called yet."""
    raise AssertionError("the warm-up called a tool of the server")


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def server(requests: Requests) -> FastMCP:
    server = FastMCP("test", middleware=[requests])
    server.tool(bill)
    return server


async def test_tools_are_listed_and_the_store_is_reached(
    server: FastMCP, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    store = CountingStore()
    with caplog.at_level(logging.INFO, "entra_mcp"):
        await warm_up(server, session_store=store)
    assert requests.methods.count("tools/list") == 1
    assert store.reads > 0
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "1 tools" in caplog.text


async def test_no_tool_of_the_server_is_called(server: FastMCP, requests: Requests) -> None:
    await warm_up(server, session_store=MemoryStore())
    assert "tools/call" not in requests.methods


async def test_store_that_does_not_answer_is_no_reason_not_to_start(
    server: FastMCP, requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    store = CountingStore(reachable=False)
    with caplog.at_level(logging.INFO, "entra_mcp"):
        await warm_up(server, session_store=store)
    assert store.reads > 0
    assert requests.methods.count("tools/list") == 1
    assert [record.levelno for record in caplog.records if record.name == "entra_mcp.server.warmup"] == [
        logging.WARNING
    ]
    assert "did not succeed" in caplog.text


async def test_server_without_tools_is_warmed_up_too() -> None:
    await warm_up(FastMCP("empty"), session_store=MemoryStore())
