"""FastMCP's own OAuth client, with a window-less browser in place of a person's; all else is the real thing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, override
from urllib.parse import parse_qs, urlsplit

import httpx2
from fastmcp.client.auth.oauth import ClientNotFoundError, OAuth

from local.check.browser import Browser, BrowserError, without_query
from local.check.shortcuts import Shortcuts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from key_value.aio.protocols import AsyncKeyValue
    from mcp.shared.auth import AuthorizationCodeResult

    from local.check.pages import Page

ALLOW = "Allow"
"""What a person clicks on the consent page, before an account on the sign-in page."""

CALLBACK_TIMEOUT = 60.0
UNAVAILABLE = 503
UNKNOWN_CLIENT = 400
"""How the authorization endpoint answers a client id that it does not know."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a sign-in has done so far; `stage` is what it is at, for the message should it fail."""

    report: Callable[[str, str], None]
    shortcuts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where requests for certain origins go instead."""
    stage: str = "connection"
    browser_opened: bool = False
    refreshed: bool = False
    unavailable: bool = False
    """Whether the server answered 503: it waits for something it depends on."""

    def reached(self, stage: str, detail: str) -> None:
        self.stage = stage
        self.report(stage, detail)

    def http_client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        *,
        follow_redirects: bool = False,
    ) -> httpx2.AsyncClient:
        """An HTTP client whose requests are seen; the machine's proxy settings are for other hosts."""
        return httpx2.AsyncClient(
            headers=headers,
            timeout=timeout or httpx2.Timeout(30.0),
            auth=auth,
            follow_redirects=follow_redirects,
            trust_env=False,
            transport=Shortcuts(self.shortcuts),
            event_hooks={"request": [self._before], "response": [self._after]},
        )

    async def _before(self, request: httpx2.Request) -> None:
        self.stage = _stage_of(request) or self.stage

    async def _after(self, response: httpx2.Response) -> None:
        stage = _stage_of(response.request)
        self.unavailable |= response.status_code == UNAVAILABLE
        if stage is None or not response.is_success:
            return
        if stage == "refresh":
            self.refreshed = True
        details = {
            "discovery": f"found {response.request.url.path}",
            "registration": "the server registered this client",
            "token": "the authorization code became an access token",
            "refresh": "the kept refresh token became an access token",
        }
        self.reached(stage, details[stage])


class SignIn(OAuth):
    """FastMCP's OAuth, clicking through the pages itself; `labels` are what the person clicks.

    A client with a `document` has that URL for its id, and registers nowhere.
    """

    def __init__(
        self,
        mcp_url: str,
        *,
        progress: Progress,
        storage: AsyncKeyValue,
        labels: Sequence[str],
        name: str,
        document: str | None = None,
    ) -> None:
        self._progress = progress
        self._labels = labels
        self._authorization_url = ""
        super().__init__(
            mcp_url,
            client_name=name,
            token_storage=storage,
            callback_timeout=CALLBACK_TIMEOUT,
            httpx_client_factory=progress.http_client,
            client_metadata_url=document,
        )

    @override
    async def redirect_handler(self, authorization_url: str) -> None:
        """Keep the address for when the callback server listens; say so if the server forgot this client."""
        self._progress.stage = "authorization"
        self._progress.browser_opened = True
        async with self._progress.http_client() as client:
            response = await client.get(authorization_url, follow_redirects=False)
        if response.status_code == UNKNOWN_CLIENT:
            raise ClientNotFoundError("the kept registration is unknown to the server")
        self._authorization_url = authorization_url

    @override
    async def callback_handler(self) -> AuthorizationCodeResult:
        """Wait at the real loopback callback while the browser walks the pages; a page that stops it ends the wait."""
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(super().callback_handler())
            group.create_task(self._walk())
        return waiting.result()

    async def _walk(self) -> None:
        async with Browser(shortcuts=self._progress.shortcuts) as browser:
            page = await browser.open(self._authorization_url)
            self._progress.reached("authorization", f"the browser is at {without_query(page.url)}")
            try:
                page = await browser.walk(page, self._labels, on_click=self._clicked)
                self._arrived(page)
            except BrowserError as fault:
                self._progress.stage = self._name_of(fault.page)
                raise

    def _clicked(self, label: str, page: Page) -> None:
        self._progress.reached(self._name_of(page), f'clicked "{label}"')

    def _name_of(self, page: Page) -> str:
        ours = urlsplit(page.url).netloc == urlsplit(self.mcp_url).netloc
        if not ours:
            return "sign-in page"
        return "consent page" if urlsplit(page.url).path.endswith("/consent") else "callback"

    def _arrived(self, page: Page) -> None:
        address = urlsplit(page.url)
        if address.port != self.redirect_port:
            raise BrowserError("Nothing to click", page=page)
        self._progress.reached("callback", f"the browser came back to port {address.port} with a code")


def _stage_of(request: httpx2.Request) -> str | None:
    path = request.url.path
    if path.startswith("/.well-known/"):
        return "discovery"
    if path.endswith("/register"):
        return "registration"
    if path.endswith("/token") and request.method == "POST":
        grant = parse_qs(request.content.decode(errors="replace")).get("grant_type", [""])[0]
        return "refresh" if grant == "refresh_token" else "token"
    return None
