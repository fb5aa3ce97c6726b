"""What the warm-up does before the first user comes, and what it must not do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, override

from fastmcp import FastMCP
from fastmcp.server.middleware import Middleware

from entra_mcp.server.warmup import warm_up

if TYPE_CHECKING:
    from typing import Any

    import pytest
    from fastmcp.server.middleware import CallNext, MiddlewareContext


class Requests(Middleware):
    """The methods of what reaches the server."""

    def __init__(self) -> None:
        self.methods: list[str | None] = []

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        self.methods.append(context.method)
        return await call_next(context)


async def bill() -> str:
    """A tool that nobody has called yet."""
    raise AssertionError("the warm-up called a tool of the server")


async def test_tools_are_listed_and_none_is_called(caplog: pytest.LogCaptureFixture) -> None:
    requests = Requests()
    server = FastMCP("test", middleware=[requests])
    server.tool(bill)
    with caplog.at_level(logging.INFO, "entra_mcp"):
        await warm_up(server)
    assert requests.methods.count("tools/list") == 1
    assert "tools/call" not in requests.methods
    assert "1 tools" in caplog.text


class Away(Middleware):
    """A provider's server that does not answer."""

    @override
    async def on_list_tools(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        raise ConnectionError("no answer")


async def test_list_that_fails_is_no_reason_not_to_start(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "entra_mcp"):
        await warm_up(FastMCP("test", middleware=[Away()]))
    (record,) = [record for record in caplog.records if record.name == "entra_mcp.server.warmup"]
    assert (record.levelno, "did not succeed" in record.getMessage()) == (logging.WARNING, True)


async def test_server_without_tools_is_warmed_up_too() -> None:
    await warm_up(FastMCP("empty"))
