"""A person's way: a real client opens a browser, which meets the consent page, the sign-in page, the way back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, override

import pytest
from fastmcp import Client
from fastmcp.client.auth.oauth import OAuth
from playwright.async_api import Page, expect

from local.check.storage import file_store
from tests.engine.browser.test_pages import fits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")


class BrowserOAuth(OAuth):
    """FastMCP's OAuth, whose browser is a page of the test's Chromium."""

    def __init__(self, url: str, *, page: Page, kept: Path) -> None:
        super().__init__(url, client_name="Contoso Assistant", token_storage=file_store(kept))
        self.page = page

    @override
    async def redirect_handler(self, authorization_url: str) -> None:
        await self.page.goto(authorization_url)

    async def listens(self) -> None:
        """Waits for the client's callback server, which starts after the browser: a person is slower than a test."""
        for _ in range(200):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("localhost", self.redirect_port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.025)
        pytest.fail("the client's callback server does not listen")


async def test_person_signs_in_and_the_client_calls_tools(
    stack: Stack, page: Page, screenshot: Callable[[str], Awaitable[None]], tmp_path: Path
) -> None:
    async def person() -> None:
        allow = page.get_by_role("button", name="Allow Access")
        await expect(allow).to_be_visible(timeout=20_000)
        await expect(page.get_by_text("Contoso Assistant").first).to_be_visible()
        await screenshot("consent")
        await allow.click()
        account = page.get_by_role("button", name="Local Admin")
        await expect(account).to_be_visible()
        await screenshot("sign-in")
        await auth.listens()
        await account.click()
        await page.wait_for_url("http://localhost:*/callback?*")

    auth = BrowserOAuth(stack.mcp_url, page=page, kept=tmp_path)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(person())
        async with Client(stack.mcp_url, auth=auth) as client:
            caller = (await client.call_tool("whoami")).structured_content
    assert caller is not None
    assert caller["roles"] == ["Admin"]


async def test_person_reads_the_home_page(
    stack: Stack, page: Page, screenshot: Callable[[str], Awaitable[None]]
) -> None:
    await page.goto(stack.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Test server")
    await expect(page.get_by_text(stack.mcp_url, exact=True)).to_be_visible()
    # Whoever finds the address sees this page; what there is to call is for those who signed in.
    assert not {name for name in ("graph_me", "count_slowly", "admin_stats", "whoami") if name in await page.content()}
    await screenshot("home")
    for width in (375, 320):
        await page.set_viewport_size({"width": width, "height": 760})
        assert await fits(page)
    await screenshot("home-narrow")
    # A name of 64 letters is the longest one.
    await page.evaluate("document.querySelector('h1').textContent = 'm'.repeat(64)")
    assert await fits(page)


async def test_person_copies_from_the_home_page(stack: Stack, page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    await page.goto(stack.url)
    sections = page.get_by_role("region")
    assert await sections.count() > 6
    for section in await sections.all():
        await section.get_by_role("button", name="Copy").click()
        await expect(section.get_by_role("button")).to_have_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == await section.locator("pre").inner_text()
    for client, scheme in (("VS Code", "vscode:mcp/install?"), ("Cursor", "cursor://anysphere.cursor-deeplink/")):
        link = page.get_by_role("link", name=f"Add to {client}")
        assert (await link.get_attribute("href") or "").startswith(scheme)
    assert faults == []


async def test_script_that_is_not_the_servers_does_not_run_on_the_home_page(stack: Stack, page: Page) -> None:
    await page.goto(stack.url)
    await page.evaluate(
        "() => { const added = document.createElement('script'); added.textContent = 'window.ran = true';"
        " document.body.append(added) }"
    )
    assert await page.evaluate("window.ran") is None


async def test_person_uses_the_keyboard_alone(stack: Stack, page: Page, tmp_path: Path) -> None:
    async def press_until(name: str) -> None:
        button = page.get_by_role("button", name=name)
        await expect(button).to_be_visible(timeout=20_000)
        for _ in range(20):
            if await button.evaluate("element => element === document.activeElement"):
                await page.keyboard.press("Enter")
                return
            await page.keyboard.press("Tab")
        pytest.fail(f"the keyboard does not reach {name!r}")

    async def person() -> None:
        await press_until("Allow Access")
        await auth.listens()
        await press_until("Local User")
        await page.wait_for_url("http://localhost:*/callback?*")

    auth = BrowserOAuth(stack.mcp_url, page=page, kept=tmp_path)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(person())
        async with Client(stack.mcp_url, auth=auth) as client:
            assert (await client.call_tool("add", {"a": 1, "b": 2})).data == 3
