"""The person at the browser: Chromium walks from the address that a client opens to the page that it ends at."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import async_playwright

from local.setup.chromium import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from playwright.async_api import Browser, Page

ALLOW = ("Allow Access", "Local User")
DENY = ("Deny",)
FOREIGN = ("Allow Access", "Test accounts for error cases", "Other Organization User", "Return to the app")
"""What a person presses, in turn."""

STEP_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Visit:
    """A sign-in in the browser: the redirect URI that the client asked for, and what the last page says."""

    redirect_uri: str
    page: str
    refused: bool = False
    """Whether the sign-in ended at the first page, so that nothing leads back to the client."""


class Person:
    """Signs in with Chromium."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @asynccontextmanager
    async def page(self) -> AsyncGenerator[Page]:
        """A page with cookies of its own."""
        context = await self._browser.new_context(viewport={"width": 1200, "height": 900})
        try:
            yield await context.new_page()
        finally:
            await context.close()

    async def walk(self, url: str, labels: Sequence[str]) -> Visit:
        """Opens `url`, the client's authorization request, and presses the buttons in turn, if there are any."""
        redirect_uri = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        await _listens(urlsplit(redirect_uri).hostname or "", urlsplit(redirect_uri).port or 80)
        async with self.page() as page:
            answer = await page.goto(url)
            if not labels or (answer is not None and not answer.ok):
                return Visit(redirect_uri=redirect_uri, page=await text_of(page), refused=True)
            await press(page, labels)
            await page.wait_for_url(f"{redirect_uri}?**", wait_until="load", timeout=STEP_SECONDS * 1000)
            return Visit(redirect_uri=redirect_uri, page=await text_of(page))


async def press(page: Page, labels: Sequence[str]) -> None:
    """Presses the buttons on the pages of the sign-in."""
    for label in labels:
        await page.locator("button, summary").filter(has_text=label).first.click(timeout=STEP_SECONDS * 1000)


async def text_of(page: Page) -> str:
    """What the page says, in one line."""
    return " ".join((await page.locator("body").inner_text()).split())


async def _listens(host: str, port: int) -> None:
    """Waits for the client's callback server, which some clients start after the browser."""
    async with asyncio.timeout(STEP_SECONDS):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def person() -> AsyncGenerator[Person]:
    """A person, for as long as the context lasts."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Machine().find(), args=["--no-sandbox"])
        try:
            yield Person(browser)
        finally:
            await browser.close()
