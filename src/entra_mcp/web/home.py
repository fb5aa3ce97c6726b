"""The page for a person who opens the server's address in a browser."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from entra_mcp.web.connect import connection_guides

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from entra_mcp.settings import Settings
    from entra_mcp.web.pages.layout import Brand

STYLE = """\
:root { color-scheme: light dark; --ink: light-dark(#1a1d24, #e8eaf0); --soft: light-dark(#5a6170, #a3aabb);
  --card: light-dark(#fff, #1b1e26); --page: light-dark(#f4f5f8, #101218); --line: light-dark(#dfe2ea, #2c313d); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
header { display: flex; gap: 1rem; align-items: center; }
header img { width: 3.5rem; height: 3.5rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.05rem; margin: 0; }
p { margin: .75rem 0; }
.soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem;
  margin: 1rem 0; }
section p { margin: .1rem 0 .6rem; font-size: .9rem; }
pre { margin: 0; padding: .7rem .9rem; border-radius: .5rem; background: var(--page); border: 1px solid var(--line);
  font: .85rem/1.5 ui-monospace, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  user-select: all; }
"""

_STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class HomePage:
    """Tells what this server is, its MCP address, and what to paste into each client. The same for everyone."""

    def __init__(self, settings: Settings, *, brand: Brand) -> None:
        self._html = _render(settings, brand)

    async def show(self, _: Request) -> Response:
        return HTMLResponse(self._html, headers=HEADERS)


def _render(settings: Settings, brand: Brand) -> str:
    name, icon = escape(brand.name), brand.icon_uri
    sections = [("MCP address", "Any client that speaks streamable HTTP can use it.", settings.mcp_url)]
    if settings.auth_mode.signs_in:
        sign_in = "You sign in with your Microsoft account when your assistant connects for the first time."
        guides = connection_guides(settings.mcp_url, settings.server_name)
        sections += [(guide.client, guide.where, guide.text) for guide in guides]
    else:
        sign_in = "It expects an access token that Microsoft Entra ID issued for it; it does not register clients."
        scopes = " ".join(f"{settings.identifier_uri}/{scope}" for scope in settings.required_scopes)
        sections.append(("Scope", "What your client has to ask Entra ID for.", scopes))
    boxes = "\n".join(
        f'<section aria-label="{escape(title)}"><h2>{escape(title)}</h2>'
        f'<p class="soft">{escape(where)}</p><pre tabindex="0">{escape(text)}</pre></section>'
        for title, where, text in sections
    )
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<link rel="icon" href="{icon}">
<style>{STYLE}</style>
</head>
<body>
<main>
<header><img src="{icon}" alt=""><h1>{name}</h1></header>
<p>This is a <strong>Model Context Protocol</strong> server: AI assistants connect to it and use its tools on your
behalf. {sign_in}</p>
{boxes}
</main>
</body>
</html>
"""
