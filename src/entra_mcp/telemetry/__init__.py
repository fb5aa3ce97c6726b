"""Telemetry: the log, and the traces and metrics where somebody collects them.

OpenTelemetry is loaded only when a setting says where traces and metrics go; without one, this package does nothing but
set the log up.
"""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING

from entra_mcp.telemetry.logs import configure_logging
from entra_mcp.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from fastmcp import FastMCP
    from starlette.types import ASGIApp

    from entra_mcp.settings import Settings

__all__ = ["Metrics", "Telemetry", "Work", "configure_logging", "start_telemetry"]


class Work(StrEnum):
    """What the process does of its own accord, each time in a trace of its own."""

    START = "start"
    PURGE = "purge"


class Telemetry:
    """What the composition root needs of telemetry; here in the shape of nobody watching."""

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


def start_telemetry(settings: Settings) -> Telemetry:
    """Returns what observes the server: nothing, unless the settings name a place for what is seen."""
    if settings.application_insights is None and settings.otlp_endpoint is None:
        return Telemetry()
    from entra_mcp.telemetry.exported import exported_telemetry

    return exported_telemetry(settings)
