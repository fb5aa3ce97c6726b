"""Clients whose id is the URL of a document: what is fetched for them, and what they may do."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from fastmcp.server.auth import cimd
from fastmcp.server.auth.ssrf import SSRFFetchError, SSRFFetchResponse

from tests.engine.flows.web.conftest import browser
from tests.support.mcp import structured
from tests.support.oauth import REDIRECT_URI, OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

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


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def documented(start: Start) -> AsyncIterator[ASGIApp]:
    async with start(MCP_CLIENT_METADATA_DOCUMENTS="true") as app:
        yield app


@pytest_asyncio.fixture(loop_scope="package")
async def client(documented: ASGIApp) -> AsyncIterator[OAuthClient]:
    async with in_own_task(browser(documented)) as http:
        yield OAuthClient(http=http, client_id=PUBLIC)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the public web answers to everybody: a document, or an exception."""
    answer: dict[str, Any] = {"document": DOCUMENT}

    async def fetch(url: str, **_: object) -> SSRFFetchResponse:
        if (cause := answer.get("failure")) is not None:
            raise SSRFFetchError(f"Error fetching {url}") from cause
        body = answer.get("body", json.dumps(answer["document"]).encode())
        return SSRFFetchResponse(body, 200, {"cache-control": "max-age=0"})

    monkeypatch.setattr(cimd, "ssrf_safe_fetch_response", fetch)
    return answer


contacted: list[str] = []


def note_connection(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        contacted.append(str(arguments[1][0]))  # pyright: ignore[reportUnknownArgumentType] - whatever was called with


@pytest.fixture(scope="module")
def hook() -> list[str]:
    """An audit hook cannot be taken out again, so there is one."""
    sys.addaudithook(note_connection)
    return contacted


@pytest.fixture
def connections(hook: list[str]) -> list[str]:
    """The addresses that this process connects to from now on."""
    with socket.create_server(("127.0.0.1", 0)) as site, socket.create_connection(site.getsockname()):
        assert "127.0.0.1" in hook
    hook.clear()
    return hook


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("192.168.1.1", "192.168.1.1"),
        ("100.64.0.1", "100.64.0.1"),
        ("169.254.169.254", "169.254.169.254"),
        ("168.63.129.16", "168.63.129.16"),
        ("168.63.129.16:443", "168.63.129.16"),
        ("168.63.129.16:32526", "168.63.129.16"),
        ("[::ffff:168.63.129.16]", "::ffff:168.63.129.16"),
        ("[64:ff9b::a83f:8110]", "64:ff9b::a83f:8110"),
        ("[2002:a83f:8110::1]", "2002:a83f:8110::1"),
        ("2822734096", "168.63.129.16"),
        ("[fd00::1]", "fd00::1"),
        ("[fe80::1]", "fe80::1"),
        ("[::1]", "::1"),
        ("[::ffff:10.0.0.1]", "::ffff:10.0.0.1"),
        ("[64:ff9b::a00:1]", "64:ff9b::a00:1"),
        ("0", "0.0.0.0"),  # noqa: S104 - where it must not connect to
        ("user@10.0.0.1", "10.0.0.1"),
    ],
)
async def test_document_at_an_address_that_is_not_public_is_not_fetched(
    client: OAuthClient, connections: list[str], host: str, address: str
) -> None:
    client.client_id = f"https://{host}/client.json"
    refused = await client.authorize()
    assert (refused.status_code, "location" in refused.headers) == (400, False)
    assert (await client.refresh("x")).json()["error"] == "invalid_client"
    assert address not in connections


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
async def test_document_on_this_machine_is_not_fetched(client: OAuthClient, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as site:
        site.setblocking(False)
        for port in ("", f":{site.getsockname()[1]}"):
            client.client_id = f"https://{host}{port}/client.json"
            assert (await client.authorize()).status_code == 400
        with pytest.raises(BlockingIOError):
            site.accept()


@pytest.mark.parametrize(
    "client_id", [PUBLIC.replace("https", "http"), f"{PUBLIC}#x", "https://93.184.215.14:8443/c", "https://[/c"]
)
async def test_address_that_no_document_should_have_is_no_client(
    client: OAuthClient, served: dict[str, Any], client_id: str
) -> None:
    served["document"] = DOCUMENT | {"client_id": client_id}
    client.client_id = client_id
    assert (await client.authorize()).status_code == 400


async def test_documented_client_signs_in_and_refreshes(client: OAuthClient, served: dict[str, Any]) -> None:
    page = await client.consent_page()
    assert served["document"]["client_name"] in page.text
    back = await client.callback((await client.consent(page)).headers["location"])
    tokens = (await client.redeem(client.answer(back)["code"])).json()
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example/cb",
        "http://localhost:1234/cb#fragment",
        "http://user@localhost:1234/cb",
        "http://localhost.evil.example:1/cb",
        "https://vscode.dev/redirect",
    ],
)
async def test_documented_client_keeps_to_the_list_of_redirect_uris(client: OAuthClient, redirect_uri: str) -> None:
    for changes in ({}, {"code_challenge_method": "plain"}):
        refused = await client.authorize(redirect_uri=redirect_uri, **changes)
        assert (refused.status_code, "location" in refused.headers) == (400, False)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("scope", ["https://graph.microsoft.com/Mail.Send", "openid Mail.Send", "Mail.Send"])
async def test_documented_client_asks_for_no_scope_beyond_this_servers(client: OAuthClient, scope: str) -> None:
    answer = await client.authorize(scope=scope)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == ["invalid_scope"]


async def test_documented_client_without_the_refresh_grant_may_refresh(
    client: OAuthClient, served: dict[str, Any]
) -> None:
    served["document"] = {name: value for name, value in DOCUMENT.items() if name != "grant_types"}
    back = await client.callback((await client.consent(await client.consent_page())).headers["location"])
    tokens = (await client.redeem(client.answer(back)["code"])).json()
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


GOOD = json.dumps(DOCUMENT).encode()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        GOOD.replace(b"Documented", b"\xff\xfe"),
        GOOD.replace(b"Documented", b"\\ud800"),
        GOOD.replace(b"53682", b"\\udfff"),
        b'{"client_id": ' + b"9" * 5000 + b"}",
        GOOD[:-1] + b', "x": ' + b"9" * 5000 + b"}",
        b"[" * 5000,
        b"[" * 2500 + b"]" * 2500,
        b"NaN",
        json.dumps(DOCUMENT | {"redirect_uris": []}).encode(),
    ],
    ids=lambda document: repr(document[:40]),
)
async def test_hostile_document_makes_no_client(client: OAuthClient, served: dict[str, Any], document: bytes) -> None:
    served["body"] = document
    for _ in range(2):  # the second time from what is kept of the first
        refused = await client.authorize()
        assert (refused.status_code, "location" in refused.headers) == (400, False)
        assert (await client.refresh("x")).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("failure", "status"), [(httpx2.ConnectError("x"), 503), (httpx2.ReadTimeout("x"), 503), (None, 401)], ids=repr
)
async def test_document_that_cannot_be_fetched_for_a_while_signs_nobody_out(
    client: OAuthClient, served: dict[str, Any], failure: Exception | None, status: int
) -> None:
    back = await client.callback((await client.consent(await client.consent_page())).headers["location"])
    tokens = (await client.redeem(client.answer(back)["code"])).json()
    served |= {"failure": failure, "document": {}}
    answer = await client.refresh(tokens["refresh_token"])
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)
    served |= {"failure": None, "document": DOCUMENT}
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200
