"""The page of MCP Inspector: connects, lists the tools, calls some."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page, Request

MAX_MILLISECONDS = 90_000

HARMLESS = re.compile("Read-only session|Authorization complete")
"""Notices of the page that report no trouble."""

NOTICES = """
window.notices = [];
new MutationObserver(changes => {
  for (const node of changes.flatMap(change => [...change.addedNodes]))
    if (node instanceof Element)
      for (const notice of [node, ...node.querySelectorAll("*")].filter(each => each.role === "alert")) {
        notice.text = notice.innerText;
        window.notices.push(notice);
      }
}).observe(document, { childList: true, subtree: true });
"""
"""Keeps the notices of the page with their text, since some go away by themselves."""

SHOWN = "window.notices.map(notice => notice.isConnected ? notice.innerText : notice.text)"
"""What the notices say."""


async def use(
    page: Page, address: str, url: str, sign_in: Callable[[], Awaitable[None]]
) -> tuple[str | None, list[str]]:
    """Opens the page and flips the switch of the server.

    Returns what it says when it does not connect, and the redirect URIs of the sign-ins that it began.
    """
    origin, uris = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}", list[str]()

    def note(request: Request) -> None:
        parts = urlsplit(request.url)
        if request.is_navigation_request() and parts.path == "/authorize":
            uris.append(parse_qs(parts.query)["redirect_uri"][0])

    page.on("request", note)
    await page.add_init_script(NOTICES)
    await page.goto(address)
    await page.get_by_role("switch").first.click(force=True)
    connected = page.get_by_text("Connected", exact=True)
    consent = page.get_by_role("button", name="Allow Access")
    notice = page.get_by_role("alert").filter(has_not_text=HARMLESS)
    await expect(connected.or_(consent).or_(notice).first).to_be_visible(timeout=MAX_MILLISECONDS)
    if page.url.startswith(origin):
        await sign_in()
        await expect(connected.or_(notice).first).to_be_visible(timeout=MAX_MILLISECONDS)
    if await connected.is_visible():
        return None, uris
    shown: list[str] = await page.evaluate(
        "window.notices.map(notice => notice.isConnected ? notice.innerText : notice.text)"
    )
    return " ".join([text for text in shown if not HARMLESS.search(text)][-1].split()), uris


async def tools(page: Page) -> list[str]:
    """The tools that the connected page lists, by name; each is a button with its title and its name."""
    await page.get_by_text("Tools", exact=True).first.click()
    await expect(page.get_by_text("add", exact=True)).to_be_visible(timeout=MAX_MILLISECONDS)
    buttons = [text.split("\n") for text in await page.get_by_role("button").all_inner_texts()]
    return [lines[-1] for lines in buttons if len(lines) > 1]


async def call(page: Page, tool: str, answer: str, **arguments: str) -> str:
    """Calls a tool on the page of tools, waits until that shows the answer, and returns the part that matches."""
    await page.get_by_text(tool, exact=True).click()
    for name, value in arguments.items():
        await page.get_by_label(re.compile(rf"^{name}( \*)?$")).fill(value)
    await page.get_by_role("button", name="Execute Tool").click()
    shown = page.get_by_text(re.compile(answer)).first
    await expect(shown).to_be_visible(timeout=MAX_MILLISECONDS)
    found = re.search(answer, await shown.inner_text())
    return found[0] if found else ""
