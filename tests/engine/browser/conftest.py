"""A page of Chromium, light and dark; screenshots are kept in test-results/browser, to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, async_playwright

from local.config import REPOSITORY
from local.setup.chromium import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SCREENSHOTS = REPOSITORY / "test-results" / "browser"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Machine().find(), args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(params=["light", "dark"], loop_scope="package")
async def page(chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page that fails the test when a page of the server or of the stand-in asks anything of another machine.

    It has a profile of its own: cookies, storage and cache.
    """
    foreign: list[str] = []

    def note(asked: Request) -> None:
        address, by = urlsplit(asked.url), urlsplit(asked.frame.url)
        # What a client shows after the sign-in, at its own callback, is the client's business.
        if by.path != "/callback" and address.scheme != "data" and address.hostname not in {"localhost", "127.0.0.1"}:
            foreign.append(asked.url)

    context = await chromium.new_context(color_scheme=request.param, viewport={"width": 900, "height": 760})
    page = await context.new_page()
    page.on("request", note)
    yield page
    await context.close()
    assert foreign == []


@pytest.fixture
def screenshot(page: Page, request: pytest.FixtureRequest) -> Callable[[str], Awaitable[None]]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    scheme = request.node.callspec.params["page"]

    async def take(name: str) -> None:
        await page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)

    return take
