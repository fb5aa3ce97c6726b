"""A user interface (MCP Apps, SEP-1865) for `export_report`: clients that cannot show it show the result's text."""

from __future__ import annotations

from pathlib import Path

from fastmcp.resources import resource

from app.samples.reports import CHART
from entra_mcp.toolkit import glyph


@resource(CHART, mime_type="text/html;profile=mcp-app", icons=[glyph("M4 20V10", "M10 20V4", "M16 20v-8", "M22 20H2")])
def sales_chart() -> str:
    """Bars of the units that were sold in each month. It loads nothing and calls nothing."""
    return Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
