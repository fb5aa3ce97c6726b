"""A resource: something to read at an address that never changes."""

from __future__ import annotations

from fastmcp.resources import resource
from pydantic import BaseModel

from app.samples.reports import FIRST_YEAR, LAST_YEAR, REGIONS, URI
from entra_mcp.toolkit import glyph


class Catalogue(BaseModel):
    """Which reports there are."""

    uri_template: str
    first_year: int
    last_year: int
    regions: list[str]


@resource("report://catalogue", mime_type="application/json", icons=[glyph("M4 5h16", "M4 12h16", "M4 19h16")])
def report_catalogue() -> str:
    """Which reports the server can make."""
    catalogue = Catalogue(uri_template=URI, first_year=FIRST_YEAR, last_year=LAST_YEAR, regions=list(REGIONS))
    return catalogue.model_dump_json()
