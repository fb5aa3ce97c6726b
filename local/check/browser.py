"""A browser without a window: it follows redirects, keeps cookies, and clicks what a person would click."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from local.check.pages import Button, Link, Page, read_page
from local.check.shortcuts import Shortcuts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_HOPS = 20
RETRIES = 5
"""How often a connection is tried again, within 8 s: the server that waits for the callback may not listen yet."""


class BrowserError(Exception):
    """The way through the pages ended early; carries the page it ended at."""

    def __init__(self, message: str, *, page: Page) -> None:
        self.page = page
        says = f' It says: "{page.text[:400]}"' if page.text else ""
        super().__init__(f"{message} at {without_query(page.url)} (status {page.status}).{says}")


class Browser(httpx2.AsyncClient):
    """One browser with one cookie jar, which keeps cookies by host."""

    def __init__(self, *, shortcuts: Mapping[str, str] = {}) -> None:
        super().__init__(trust_env=False, transport=Shortcuts(shortcuts, retries=RETRIES), timeout=30.0)

    async def open(self, url: str) -> Page:
        """The page behind `url`, all redirects followed; BrowserError when there are too many."""
        return await self._follow(await self.get(url))

    async def walk(
        self, page: Page, labels: Sequence[str], *, on_click: Callable[[str, Page], None] = lambda _label, _page: None
    ) -> Page:
        """From `page`, click on every page the first of `labels` it offers, until a page offers none of them.

        `on_click` gets what a click was on, and the page that had it.
        """
        for _ in range(MAX_HOPS):
            if page.status >= 400:
                raise BrowserError("The sign-in stopped", page=page)
            found = next((way for label in labels if (way := page.way(label)) is not None), None)
            if found is None:
                return page
            on_click(found.label, page)
            page = await self._take(page, found)
        raise BrowserError("The sign-in goes in circles", page=page)

    async def _take(self, page: Page, way: Button | Link) -> Page:
        if isinstance(way, Link):
            return await self.open(urljoin(page.url, way.url))
        fields = [*way.form.fields, *([(way.name, way.value)] if way.name else [])]
        action = urljoin(page.url, way.form.action or page.url)
        if way.form.method != "post":
            return await self.open(f"{action.split('?', 1)[0]}?{urlencode(fields)}")
        parts = urlsplit(page.url)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"{parts.scheme}://{parts.netloc}",
        }
        return await self._follow(await self.post(action, content=urlencode(fields).encode(), headers=headers))

    async def _follow(self, response: httpx2.Response) -> Page:
        for _ in range(MAX_HOPS):
            following = response.next_request
            if following is None:
                return read_page(response.text, url=str(response.url), status=response.status_code)
            if following.method == "GET":
                for name in ("Origin", "Content-Type"):  # those of the form, which has been sent
                    following.headers.pop(name, None)
            response = await self.send(following)
        raise BrowserError("Too many redirects", page=Page(url=str(response.url), status=response.status_code))


def without_query(url: str) -> str:
    """The address as it may be shown: queries of a sign-in hold codes and states."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
