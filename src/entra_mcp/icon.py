"""The icons of the server and its tools, as data URIs: pages and clients need no request to another site."""

from __future__ import annotations

from base64 import b64encode

from mcp.types import Icon

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="MCP server">
<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1">
<stop offset="0" stop-color="#2563eb"/><stop offset="1" stop-color="#7c3aed"/></linearGradient></defs>
<rect width="64" height="64" rx="14" fill="url(#g)"/>
<g fill="none" stroke="#fff" stroke-width="4.5" stroke-linecap="round" stroke-linejoin="round">
<path d="M32 12 48 18v12c0 10-6.5 17.5-16 22-9.5-4.5-16-12-16-22V18Z"/><path d="m24.5 31.5 5.5 5.5 10-11"/></g></svg>
""".replace("\n", "")


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


ICON = _data_uri(SVG)


def glyph(*paths: str) -> Icon:
    """A line drawing for a tool, from SVG paths on a field of 24 by 24, in a colour for light and dark."""
    drawing = "".join(f'<path d="{path}"/>' for path in paths)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#7c3aed" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{drawing}</svg>'
    )
    return Icon(src=_data_uri(svg), mime_type="image/svg+xml", sizes=["any"])
