"""The page for a person who opens the server's address in a browser.

Threat: it shares its origin with the consent page, so no script but its own may ever run in it; the policy names that
one by its hash. Whoever finds the address sees it, so it names the server and no tool: what there is to call, and
whether an administrator has more, is for those who signed in.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from entra_mcp.web.connect import ConnectionGuide, connection_guides
from entra_mcp.web.pages.layout import digest, document

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from entra_mcp.settings import Settings
    from entra_mcp.web.pages.layout import Brand

STYLE = """\
:root { color-scheme: light dark; --ink: light-dark(#1a1d24, #e8eaf0); --soft: light-dark(#5a6170, #a3aabb);
  --card: light-dark(#fff, #1b1e26); --page: light-dark(#f4f5f8, #101218); --line: light-dark(#dfe2ea, #2c313d);
  --accent: light-dark({light}, {dark}); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
header { display: flex; gap: 1rem; align-items: center; }
header img { width: 3.5rem; height: 3.5rem; flex: none; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0; }
p { margin: .75rem 0; }
.soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem;
  margin: 1rem 0; }
section p { margin: .1rem 0 .6rem; font-size: .9rem; }
.head { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; justify-content: space-between; }
a, button { font: inherit; font-size: .85rem; font-weight: 600; color: var(--accent); background: none; cursor: pointer;
  border: 1px solid var(--line); border-radius: .5rem; padding: .25rem .7rem; text-decoration: none; }
.actions { display: flex; gap: .5rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
pre { margin: 0; padding: .7rem .9rem; border-radius: .5rem; background: var(--page); border: 1px solid var(--line);
  font: .85rem/1.5 ui-monospace, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  user-select: all; }
@media (max-width: 30rem) { main { padding: 1.5rem .75rem 3rem; } section { padding: .9rem; } }
"""

SCRIPT = """\
if (navigator.clipboard) for (const section of document.querySelectorAll("section")) {
  const button = document.createElement("button");
  const label = section.getAttribute("aria-label");
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${label}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(section.querySelector("pre").textContent);
    button.textContent = "Copied";
    button.setAttribute("aria-label", `Copied: ${label}`);
  });
  section.querySelector(".actions").append(button);
}
"""
"""Adds the copy buttons, which are of no use without it. A browser has a clipboard over https and on loopback alone."""


class HomePage:
    """Shows what this server is, its MCP address, and what to paste into each client. The same for everyone."""

    def __init__(self, settings: Settings, *, brand: Brand) -> None:
        self._html = document(brand.name, _body(settings, brand), brand=brand, style=STYLE, script=SCRIPT)
        style, script = digest(brand.coloured(STYLE)), digest(SCRIPT)
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    async def show(self, _: Request) -> Response:
        return HTMLResponse(self._html, headers=self._headers)


def _body(settings: Settings, brand: Brand) -> str:
    address = "Any client that speaks streamable HTTP can use it."
    sections = [ConnectionGuide("MCP address", address, settings.mcp_url)]
    if settings.auth_mode.signs_in:
        sign_in = "You sign in with your Microsoft account when your assistant connects for the first time."
        sections += connection_guides(settings.mcp_url, settings.server_name)
    else:
        sign_in = "It expects an access token that Microsoft Entra ID issued for it; it does not register clients."
        scopes = " ".join(f"{settings.identifier_uri}/{scope}" for scope in settings.required_scopes)
        sections.append(ConnectionGuide("Scope", "What your client has to ask Entra ID for.", scopes))
    boxes = "\n".join(map(_section, sections))
    return f"""\
<header><img src="{brand.icon_uri}" alt=""><h1>{escape(brand.name)}</h1></header>
<p>This is a <strong>Model Context Protocol</strong> server: AI assistants connect to it and use its tools on your
behalf. {sign_in}</p>
{boxes}"""


def _section(guide: ConnectionGuide) -> str:
    title = escape(guide.client)
    install = f'<a href="{escape(guide.install)}" aria-label="Add to {title}">Add</a>' if guide.install else ""
    return (
        f'<section aria-label="{title}"><div class="head"><h2>{title}</h2><div class="actions">{install}</div></div>'
        f'<p class="soft">{escape(guide.where)}</p><pre tabindex="0">{escape(guide.text)}</pre></section>'
    )
