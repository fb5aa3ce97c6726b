"""What all pages share, and those of the sign-in: one card, readable in light and dark, that runs nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from html import escape
from http import HTTPStatus

from starlette.responses import HTMLResponse

from entra_mcp.definition import ACCENT, ICON
from entra_mcp.toolkit.icons import data_uri

STYLE = """\
:root { color-scheme: light dark; --ink: light-dark(#1a1d24, #e8eaf0); --soft: light-dark(#565d6c, #a8afbf);
  --card: light-dark(#fff, #1b1e26); --page: light-dark(#f2f3f7, #101218); --line: light-dark(#d5d9e3, #363c4a);
  --well: light-dark(#f6f7fa, #232732); --accent: light-dark({light}, {dark}); --on-accent: light-dark(#fff, #0d1117);
  --mark: light-dark(#8a5200, #f5c26b); --mark-back: light-dark(#fff7e6, #2d2618); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--page);
  color: var(--ink); font: 1rem/1.55 system-ui, "Segoe UI", sans-serif; }
main { width: 100%; max-width: 34rem; padding: 1.5rem 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; overflow-wrap: anywhere; }
header { display: flex; gap: .75rem; align-items: center; color: var(--soft); font-weight: 600; }
header img { width: 2.5rem; height: 2.5rem; flex: none; }
h1 { font-size: 1.45rem; line-height: 1.3; margin: 1.25rem 0 .75rem; font-weight: 650; }
h2 { font-size: 1rem; margin: 1.5rem 0 .4rem; font-weight: 650; }
p { margin: .6rem 0; }
ul { margin: .4rem 0; padding-inline-start: 1.25rem; }
.soft { color: var(--soft); font-size: .925rem; }
.claimed { contain: paint; }
.claimed bdi { background: var(--well); border: 1px solid var(--line); border-radius: .375rem; padding: 0 .3em;
  box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.well { background: var(--well); border: 1px solid var(--line); border-radius: .75rem; padding: .9rem 1.1rem;
  margin: 1rem 0; }
.well p { margin: .15rem 0; }
.host { font-size: 1.15rem; font-weight: 650; }
.mark { background: var(--mark-back); border-inline-start: .25rem solid var(--mark); border-radius: .375rem;
  padding: .6rem .9rem; margin: 1.25rem 0; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 1rem; }
button { flex: 1 1 10rem; font: inherit; font-weight: 600; padding: .7rem 1.25rem; border-radius: .5rem;
  border: 1px solid var(--accent); cursor: pointer; }
button.main { background: var(--accent); color: var(--on-accent); }
button.other { background: transparent; color: var(--accent); }
button:hover { filter: brightness(1.12); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: .25rem; }
details { border-top: 1px solid var(--line); padding-top: .75rem; }
summary { cursor: pointer; color: var(--soft); font-weight: 600; font-size: .925rem; }
dl { margin: .75rem 0 0; font-size: .875rem; }
dt { color: var(--soft); }
dd { margin: 0 0 .6rem; }
code { font: .875em/1.5 ui-monospace, Consolas, monospace; }
a { color: var(--accent); }
@media (max-width: 30rem) { main { padding: 1.25rem; } }
"""


@dataclass(frozen=True, kw_only=True)
class Brand:
    """How the pages show the server: its name, its icon as an SVG drawing, its colour in light and dark."""

    name: str
    icon: str = ICON
    accent: tuple[str, str] = ACCENT

    @cached_property
    def icon_uri(self) -> str:
        """The icon as an address that holds it."""
        return data_uri(self.icon)

    def coloured(self, style: str) -> str:
        """Returns the style sheet with the colours of the server."""
        light, dark = self.accent
        return style.replace("{light}", light).replace("{dark}", dark)

    @cached_property
    def policy(self) -> str:
        """The content security policy under which a page of the sign-in loads nothing and runs nothing."""
        # Without `form-action`: Chromium applies it to every redirect that follows a form, and the last one leads to
        # the MCP client, wherever that is (https://issues.chromium.org/issues/40923007).
        style = f"style-src '{digest(self.coloured(STYLE))}'"
        return f"default-src 'none'; {style}; img-src data:; base-uri 'none'; frame-ancestors 'none'"


def digest(source: str) -> str:
    """Returns what a policy knows a style sheet or a script by."""
    return f"sha256-{b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def document(title: str, body: str, *, brand: Brand, style: str, script: str = "") -> str:
    """Returns a whole page; `title` is text, `body` is what HTML has in `main`."""
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="{brand.icon_uri}">
<style>{brand.coloured(style)}</style>
</head>
<body>
<main>
{body}
</main>{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def card(title: str, body: str, *, brand: Brand) -> str:
    """Returns a page of the sign-in; `title` is text, `body` is HTML."""
    header = f'<header><img src="{brand.icon_uri}" alt=""><span>{escape(brand.name)}</span></header>'
    return document(f"{title} · {brand.name}", f"{header}\n{body}", brand=brand, style=STYLE)


def page(title: str, body: str, *, brand: Brand, status: int = HTTPStatus.OK) -> HTMLResponse:
    """Returns the page as a response, with the policy under which it loads nothing."""
    html = card(title, body, brand=brand)
    return HTMLResponse(html, status_code=status, headers={"Content-Security-Policy": brand.policy})
