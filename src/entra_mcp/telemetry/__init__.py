"""Telemetry: the log, and the traces and metrics where somebody collects them.

OpenTelemetry is loaded only when a setting says where traces and metrics go; without one, this package does nothing but
set the log up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.telemetry.logs import QUIET_LOGGERS, configure_logging
from entra_mcp.telemetry.metrics import Metrics
from entra_mcp.telemetry.telemetry import Telemetry, Work

if TYPE_CHECKING:
    from entra_mcp.settings import Settings

__all__ = ["QUIET_LOGGERS", "Metrics", "Telemetry", "Work", "configure_logging", "start_telemetry"]


def start_telemetry(settings: Settings) -> Telemetry:
    """Returns what observes the server: nothing, unless the settings name a place for what is seen."""
    if settings.application_insights is None and settings.otlp_endpoint is None:
        return Telemetry()
    from entra_mcp.telemetry.exported import exported_telemetry

    return exported_telemetry(settings)
