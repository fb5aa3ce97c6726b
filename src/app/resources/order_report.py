"""A resource template: many things to read, each at an address of its own, whose parts clients can complete."""

from __future__ import annotations

import asyncio
import logging
import re

from fastmcp.exceptions import ResourceError
from fastmcp.resources import resource

from app.samples.reports import FIRST_YEAR, LAST_YEAR, MIME_TYPE, REGIONS, URI, Region, report_months
from entra_mcp.toolkit import glyph


@resource(URI, mime_type=MIME_TYPE, icons=[glyph("M6 2h9l4 4v16H6z", "M9 12h7", "M9 16h7")])
async def order_report(year: str, region: str) -> str:
    """A year's orders of a region, as CSV: what `export_report` links to."""
    if region not in REGIONS or not re.fullmatch(r"\d{4}", year) or not FIRST_YEAR <= int(year) <= LAST_YEAR:
        message = f"There is no such report: {FIRST_YEAR} to {LAST_YEAR}, of {', '.join(REGIONS)}."
        raise ResourceError(message, log_level=logging.INFO)
    return await asyncio.to_thread(_text, int(year), region)


def _text(year: int, region: Region) -> str:
    return "".join(report_months(year, region))
