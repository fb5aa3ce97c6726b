"""A prompt: a request that a person picks from a list instead of typing it."""

# Without `from __future__ import annotations`: FastMCP does not look up the names in annotations of prompts.

from typing import Annotated

from fastmcp.prompts import prompt
from pydantic import Field

from app.samples.reports import FIRST_YEAR, LAST_YEAR, Region, report_uri
from entra_mcp.toolkit import glyph


@prompt(icons=[glyph("M4 4h16v12H9l-5 5z")])
def review_orders(
    year: Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR, description="The year of the orders.")],
    region: Annotated[Region, Field(description="The region of the orders.")],
) -> str:
    """Review a year's orders of a region."""
    return (
        f"Export the orders of {region} in {year} with the tool export_report, then read {report_uri(year, region)}. "
        "Say which product sold best in each quarter, and what stands out."
    )
