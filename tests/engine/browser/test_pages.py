"""The consent and error pages in Chromium: what a hostile client can do to them, and who can use them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from playwright.async_api import Page, Route, expect

from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.stack import Stack

    Screenshot = Callable[[str], Awaitable[None]]

pytestmark = pytest.mark.asyncio(loop_scope="package")

HOSTILE_NAME = "</h1><img src=x onerror=alert(1)><b class=injected>\u202eEntra\u2066 MCP\u0000 \u202cZ" + 60 * "\u0317"

LIGHT_ONLY = pytest.mark.parametrize("page", ["light"], indirect=True)
"""For what has nothing to do with how it looks."""


async def authorization_url(stack: Stack, *, name: str, redirect_uri: str = "") -> str:
    """Registers a client of that name; returns the address that it would open in the browser."""
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as http:
        client = OAuthClient(http=http, redirect_uri=redirect_uri or f"http://localhost:{free_ports(1)[0]}/callback")
        registered = await http.post("/register", json={"client_name": name, "redirect_uris": [client.redirect_uri]})
        assert registered.status_code == 201, registered.text
        client.client_id = registered.json()["client_id"]
        return (await client.authorize()).headers["location"]


async def fits(page: Page) -> bool:
    return await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def focus_order(page: Page, steps: int) -> list[str]:
    found: list[str] = []
    for _ in range(steps):
        await page.keyboard.press("Tab")
        focused: dict[str, Any] = await page.evaluate(
            "({text: document.activeElement.innerText, outline: getComputedStyle(document.activeElement).outlineStyle})"
        )
        assert focused["outline"] == "solid", "the focus is not to be seen"
        found.append(focused["text"])
    return found


async def test_hostile_name_stays_a_name(stack: Stack, page: Page, screenshot: Screenshot) -> None:
    page.on("dialog", lambda _: pytest.fail("a script ran"))
    await page.goto(await authorization_url(stack, name=HOSTILE_NAME, redirect_uri="https://vscode.dev/redirect"))
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(page.locator("main img")).to_have_count(1)
    await expect(page.locator(".injected")).to_have_count(0)
    assert not set("\u202e\u2066\u202c\u0000") & set(await heading.inner_text())
    await expect(page.get_by_role("region", name="Where your sign-in goes")).to_contain_text("vscode.dev")
    await page.get_by_text("Details", exact=True).click()
    await screenshot("consent-hostile")
    for width in (900, 320):
        await page.set_viewport_size({"width": width, "height": 760})
        assert await fits(page)
    await screenshot("consent-hostile-narrow")


async def test_consent_page_is_for_everyone(stack: Stack, page: Page) -> None:
    await page.goto(await authorization_url(stack, name="Contoso Assistant"))
    await expect(page.get_by_role("main")).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Contoso Assistant wants to use Test server as you")
    assert await page.evaluate("document.documentElement.lang") == "en"
    assert await page.title() == "Allow access? · Test server"
    assert await focus_order(page, 3) == ["Allow Access", "Deny", "Details"]
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Return address")).to_be_visible()


ERRORS = {
    "/consent?txn_id=unknown": "This sign-in is no longer valid",
    "/authorize?client_id=unknown&response_type=code&code_challenge=x": "The server cannot accept this request",
    "/auth/callback?error=access_denied&error_description=hunter2&state=x": "This sign-in is no longer valid",
    "/mcp": "This address is not for browsers",
}


async def test_error_page_tells_what_to_do(stack: Stack, page: Page, screenshot: Screenshot) -> None:
    for path, heading in ERRORS.items():
        response = await page.goto(f"{stack.url}{path}")
        assert response is not None
        await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        reference = await response.header_value("x-correlation-id")
        await expect(page.get_by_role("main")).to_contain_text(reference or "missing")
        assert "hunter2" not in await page.content()
        await screenshot(f"error{path.partition('?')[0].replace('/', '-')}")
    await page.get_by_role("link", name="The home page").click()
    await expect(page.get_by_role("heading", name="MCP address")).to_be_visible()


@LIGHT_ONLY
async def test_consent_page_cannot_be_framed(stack: Stack, page: Page) -> None:
    url = await authorization_url(stack, name="Contoso Assistant")
    await page.goto(f"{stack.url}/healthz")
    await page.evaluate(
        "url => { const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame) }", url
    )
    frame = page.frame_locator("iframe")
    await expect(frame.locator("body")).to_be_attached()
    await expect(frame.get_by_role("button", name="Allow Access")).to_have_count(0)


@LIGHT_ONLY
async def test_allow_pressed_again_before_the_answer_leads_to_the_sign_in(stack: Stack, page: Page) -> None:
    first = asyncio.Event()

    async def hold_first_answer(route: Route) -> None:
        if first.is_set():
            await route.continue_()
            return
        await route.fetch(max_redirects=0)
        first.set()

    await page.goto(await authorization_url(stack, name="Contoso Assistant"))
    await page.route("**/consent?*", hold_first_answer)
    box = await page.get_by_role("button", name="Allow Access").bounding_box()
    assert box is not None
    # The mouse itself: Playwright's click would wait until the page has gone.
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.click(*middle)
    await asyncio.wait_for(first.wait(), 60)
    await page.mouse.click(*middle)
    await expect(page.get_by_role("button", name="Local User")).to_be_visible()


@LIGHT_ONLY
async def test_person_goes_back_and_allows_again(stack: Stack, page: Page) -> None:
    await page.goto(await authorization_url(stack, name="Contoso Assistant"))
    for _ in range(2):
        await page.get_by_role("button", name="Allow Access").click()
        await expect(page.get_by_role("button", name="Local User")).to_be_visible()
        await page.go_back()


@LIGHT_ONLY
async def test_consent_in_two_tabs_ends_well_in_both(stack: Stack, page: Page) -> None:
    tabs = [page, await page.context.new_page()]
    for tab in tabs:
        await tab.goto(await authorization_url(stack, name="Contoso Assistant"))
    for tab in tabs:
        await tab.get_by_role("button", name="Allow Access").click()
        await expect(tab.get_by_role("button", name="Local User")).to_be_visible()
