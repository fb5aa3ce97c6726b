"""Every page a person sees, examined by axe-core for contrast and structure, and by keyboard, in light and in dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import axe_playwright_python
import pytest
from playwright.async_api import Page, expect

from tests.engine.browser.test_pages import ERRORS, authorization_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="package")

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

CONTROLS = "a[href], button, summary, input:not([type=hidden]), select, textarea"
FOCUSED = """controls => {
  const style = getComputedStyle(document.activeElement);
  const index = [...document.querySelectorAll(controls)].indexOf(document.activeElement);
  return [index, style.outlineStyle, parseFloat(style.outlineWidth)];
}"""


async def violations(page: Page) -> list[str]:
    """What axe-core finds: the rule, and the first element that breaks it."""
    await page.evaluate(AXE)
    results: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [f"{found['id']}: {found['nodes'][0]['failureSummary']}" for found in results["violations"]]


async def reach_every_control(page: Page) -> None:
    """Goes through the page with the Tab key alone; fails where the focus cannot be seen, or does not arrive."""
    visible = await page.locator(CONTROLS).evaluate_all(
        "all => all.map((one, index) => one.checkVisibility() ? index : -1).filter(index => index >= 0)"
    )
    reached: set[int] = set()
    for _ in range(2 * len(visible) + 2):  # from wherever the focus is, through the end of the page and round
        await page.keyboard.press("Tab")
        index, style, width = await page.evaluate(FOCUSED, CONTROLS)
        if index >= 0:
            assert style == "solid"
            assert width >= 2
            reached.add(index)
    assert reached == set(visible)


async def test_home_page_is_for_everyone(stack: Stack, page: Page) -> None:
    await page.goto(stack.url)
    assert await violations(page) == []
    await reach_every_control(page)


@pytest.mark.parametrize("path", [*ERRORS, "/nothing-here"])
async def test_error_page_is_for_everyone(stack: Stack, page: Page, path: str) -> None:
    await page.goto(f"{stack.url}{path}")
    assert await violations(page) == []
    await reach_every_control(page)


async def test_consent_and_sign_in_pages_are_for_everyone(
    stack: Stack, page: Page, screenshot: Callable[[str], Awaitable[None]]
) -> None:
    await page.goto(await authorization_url(stack, name="Contoso Assistant"))
    await page.get_by_text("Details", exact=True).click()
    assert await violations(page) == []
    await reach_every_control(page)
    await page.get_by_role("button", name="Allow Access").click()
    await page.get_by_text("Test accounts for error cases").click()
    assert await violations(page) == []
    await reach_every_control(page)
    await screenshot("sign-in-error-cases")
    await page.get_by_role("button", name="Blocked User").click()
    await expect(page.get_by_text("docs/errors/AADSTS53003.md")).to_be_visible()
    assert await violations(page) == []
    await reach_every_control(page)


async def test_text_that_is_hard_to_see_is_found(stack: Stack, page: Page) -> None:
    await page.goto(stack.url)
    await page.evaluate("document.querySelector('h1').style.color = '#888'")
    await page.evaluate("document.querySelector('main').style.background = '#999'")
    assert [found for found in await violations(page) if found.startswith("color-contrast")]


async def test_page_that_does_not_exist_says_so(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/nothing-here")
    await expect(page.get_by_role("heading", level=1)).to_have_text("This page does not exist")
    await expect(page.get_by_role("main")).to_contain_text("Check the address for typing errors.")
