"""What the composition root needs of telemetry; here in the shape of nobody watching."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING

from entra_mcp.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from fastmcp import FastMCP
    from starlette.types import ASGIApp


class Work(StrEnum):
    """What the process does of its own accord, each time in a trace of its own."""

    START = "start"
    PURGE = "purge"


class Telemetry:
    """Observes nothing."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()

    def watched(self, what: Work) -> AbstractContextManager[object]:
        """Watches the block as one piece of work, which what happens in it belongs to."""
        del what
        return nullcontext()

    def observe(self, server: FastMCP) -> None:
        """Watches the calls of an MCP server."""

    def at_the_edge(self, app: ASGIApp, *, routes: Collection[str]) -> ASGIApp:
        """Returns the application with each of its requests watched; `routes` are the paths that may be named."""
        del routes
        return app

    async def flush(self) -> None:
        """Sends what has been seen so far."""
