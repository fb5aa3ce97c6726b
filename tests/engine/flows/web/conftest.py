"""Two servers for all tests of this package: one as on a laptop, one as in Azure behind a domain of its own."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from fastmcp.server.auth import cimd
from fastmcp.server.auth.ssrf import SSRFFetchError, SSRFFetchResponse

from entra_mcp.auth.clients import keys as client_keys
from entra_mcp.settings import Settings
from tests.engine.flows.conftest import over as browser
from tests.engine.flows.conftest import usual_environment
from tests.support.app.server import running_app
from tests.support.oauth import REDIRECT_URI, OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    import httpx2
    from starlette.types import ASGIApp

    from tests.support.standins import StandIns

    Start = Callable[..., AbstractAsyncContextManager[ASGIApp]]

DOMAIN = "https://mcp.contoso.com"
FUNCTION_APP = "func-contoso.azurewebsites.net"
CHAT = "https://chat.contoso.com"
WEBVIEW = "vscode-webview://0a1b2c"
APPLICATION_PAGES = "app://- http://tauri.localhost vscode-webview://"

PUBLIC = "https://93.184.215.14/client.json"
"""An address, so that no name server is asked; what would be fetched there comes from the test."""

DOCUMENT: dict[str, Any] = {
    "client_id": PUBLIC,
    "client_name": "Documented client",
    "redirect_uris": [REDIRECT_URI, "https://*.example/*", "http://localhost:*"],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
    "scope": "access_as_user openid https://graph.microsoft.com/Mail.Send",
}


@pytest.fixture(scope="package")
def start(azurite: str, standins: StandIns) -> Start:
    """Returns what starts the application with a table of its own, and the given settings besides the usual ones."""

    def running(**changes: str) -> AbstractAsyncContextManager[ASGIApp]:
        values = {**usual_environment(standins, azurite), **changes}

        @asynccontextmanager
        async def started() -> AsyncGenerator[ASGIApp]:
            async with AsyncExitStack() as stack:
                # The settings are read while the application starts; afterwards they are nobody else's business.
                with pytest.MonkeyPatch.context() as patch:
                    for field in Settings.model_fields.values():
                        patch.delenv(str(field.validation_alias), raising=False)
                    for name, value in values.items():
                        patch.setenv(name, value)
                    app = await stack.enter_async_context(running_app())
                yield app

        return in_own_task(started())

    return running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def app(start: Start) -> AsyncIterator[ASGIApp]:
    async with start() as app:
        yield app


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def deployed(start: Start) -> AsyncIterator[ASGIApp]:
    async with start(
        MCP_BASE_URL=DOMAIN,
        WEBSITE_HOSTNAME=FUNCTION_APP,
        MCP_ALLOWED_ORIGINS=f"{CHAT} {APPLICATION_PAGES}",
        MCP_ALLOWED_HOSTS="proxy.contoso.com",
    ) as app:
        yield app


@pytest_asyncio.fixture(loop_scope="package")
async def http(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with in_own_task(browser(app)) as http:
        yield http


@pytest_asyncio.fixture(loop_scope="package")
async def https(deployed: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the server as in Azure."""
    async with in_own_task(browser(deployed, base_url=DOMAIN)) as http:
        yield http


@pytest.fixture
def client(http: httpx2.AsyncClient) -> OAuthClient:
    return OAuthClient(http=http)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the public web answers to everybody: a document, or an exception."""
    answer: dict[str, Any] = {"document": DOCUMENT}

    async def fetch(url: str, **_: object) -> SSRFFetchResponse:
        answer["fetched"] = url
        if (cause := answer.get("failure")) is not None:
            raise SSRFFetchError(f"Error fetching {url}") from cause
        if (status := answer.get("status", 200)) != HTTPStatus.OK:
            raise SSRFFetchError(f"HTTP {status} fetching {url}")
        body = answer.get("body", json.dumps(answer["document"]).encode())
        return SSRFFetchResponse(body, 200, {"cache-control": f"max-age={answer.get('seconds', 0)}"})

    async def fetch_keys(url: str, **_: object) -> bytes:
        answer.setdefault("keys_fetched", []).append(url)
        if (failure := answer.get("keys_failure")) is not None:
            raise failure
        return json.dumps(answer["keys"]).encode()

    monkeypatch.setattr(cimd, "ssrf_safe_fetch_response", fetch)
    monkeypatch.setattr(client_keys, "ssrf_safe_fetch", fetch_keys)
    return answer


def from_address(address: str, *, claimed: str = "") -> dict[str, str]:
    """What the Functions host sends the worker for a request from there; `claimed` is what the client itself sent."""
    forwarded = f"{claimed}, {address}" if claimed else address
    return {"X-MS-Invocation-Id": "1", "X-Forwarded-Host": "localhost:7071", "X-Forwarded-For": forwarded}
