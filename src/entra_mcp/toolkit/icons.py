"""Icons as data URIs: pages and clients need no request to another site."""

from __future__ import annotations

from base64 import b64encode

from mcp.types import Icon


def data_uri(svg: str) -> str:
    """The drawing as an address that holds it."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def glyph(*paths: str) -> Icon:
    """A line drawing for a tool, from SVG paths on a field of 24 by 24, in a colour for light and dark."""
    drawing = "".join(f'<path d="{path}"/>' for path in paths)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#7c3aed" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{drawing}</svg>'
    )
    return Icon(src=data_uri(svg), mime_type="image/svg+xml", sizes=["any"])
