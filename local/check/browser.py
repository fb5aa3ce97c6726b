"""A browser without a window: it follows redirects, keeps cookies, and clicks what a person would click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from local.check.pages import Button, Link, Page, read_page
from local.check.shortcuts import Shortcuts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

MAX_HOPS = 20
REDIRECTS = {301, 302, 303, 307, 308}


class BrowserError(Exception):
    """The way through the pages ended early; carries the page it ended at."""

    def __init__(self, message: str, *, page: Page) -> None:
        self.page = page
        says = f' It says: "{page.text[:400]}"' if page.text else ""
        super().__init__(f"{message} at {without_query(page.url)} (status {page.status}).{says}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A click that was made: on what, and on which page."""

    label: str
    page: Page


class Browser:
    """One browser with one cookie jar; an async context manager."""

    def __init__(self, *, shortcuts: Mapping[str, str] = {}) -> None:
        # Cookies are kept by host, as browsers do; the proxy settings of the machine are for other hosts.
        self._http = httpx2.AsyncClient(trust_env=False, transport=Shortcuts(shortcuts), timeout=30.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def open(self, url: str) -> Page:
        """The page behind `url`, all redirects followed; BrowserError when there are too many."""
        return await self._follow(await self._http.get(url))

    async def walk(
        self, page: Page, labels: Sequence[str], *, on_click: Callable[[Click], None] = lambda _click: None
    ) -> Page:
        """From `page`, click on every page the first of `labels` it offers, until a page offers none of them."""
        for _ in range(MAX_HOPS):
            if page.status >= 400:
                raise BrowserError("The sign-in stopped", page=page)
            found = next((way for label in labels if (way := page.way(label)) is not None), None)
            if found is None:
                return page
            on_click(Click(label=found.label, page=page))
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
        return await self._follow(await self._http.post(action, content=urlencode(fields).encode(), headers=headers))

    async def _follow(self, response: httpx2.Response) -> Page:
        for _ in range(MAX_HOPS):
            if response.status_code not in REDIRECTS:
                return read_page(response.text, url=str(response.url), status=response.status_code)
            target = urljoin(str(response.url), response.headers.get("location", ""))
            again = response.status_code in {307, 308} and response.request.method == "POST"
            content = response.request.content if again else None
            kept = {name: response.request.headers[name] for name in ("content-type", "origin")} if again else {}
            method = "POST" if again else "GET"
            response = await self._http.request(method, target, content=content, headers=kept)
        raise BrowserError("Too many redirects", page=Page(url=str(response.url), status=response.status_code))


def without_query(url: str) -> str:
    """The address as it may be shown: queries of a sign-in hold codes and states."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
