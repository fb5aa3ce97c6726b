"""Requests as real clients send them: each gets on, and hears what it got instead of what it asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.engine.flows.web.conftest import browser
from tests.engine.real_clients import ACCEPTED_SCOPES, REDIRECTS, REGISTRATIONS
from tests.support.mcp import structured, tool_call
from tests.support.oauth import OAuthClient
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx2
    from starlette.types import ASGIApp

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

BY_DEFAULT = [client for client, (entry, _) in REDIRECTS.items() if entry == "defaults"]


async def register(http: httpx2.AsyncClient, client: str) -> httpx2.Response:
    metadata: dict[str, Any] = {"client_name": client, "redirect_uris": list(REDIRECTS[client][1])}
    return await http.post("/register", json=metadata | REGISTRATIONS.get(client, {}))


@pytest.mark.parametrize("client", BY_DEFAULT)
async def test_registration_of_a_real_client_is_told_what_it_got(http: httpx2.AsyncClient, client: str) -> None:
    answer = await register(http, client)
    assert answer.status_code == 201, answer.text
    registered = answer.json()
    assert registered["redirect_uris"] == list(REDIRECTS[client][1])
    assert registered["client_name"] == client
    assert registered["grant_types"] == ["authorization_code", "refresh_token"]
    assert registered["response_types"] == ["code"]
    assert registered["token_endpoint_auth_method"] == "none"
    assert registered["scope"] == "access_as_user"
    assert "client_secret" not in registered
    for redirect_uri in REDIRECTS[client][1]:
        authorization = OAuthClient(http=http, client_id=registered["client_id"], redirect_uri=redirect_uri)
        assert "/consent?" in (await authorization.authorize()).headers["location"]


@pytest.mark.parametrize("client", [client for client in REDIRECTS if client not in BY_DEFAULT])
async def test_registration_of_another_client_is_told_what_admits_it(
    http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, client: str
) -> None:
    entry, uris = REDIRECTS[client]
    refused = await register(http, client)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    for told in (refused.json()["error_description"], caplog.text):
        assert uris[0] in told
        assert f"the word {entry} in MCP_ALLOWED_REDIRECT_URIS" in told


async def test_refused_redirect_uri_writes_no_log_line_of_its_own(
    http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    uri = 'https://evil.example/"\\\nCRITICAL forged\u202e' + "a" * 1000
    refused = await http.post("/register", json={"redirect_uris": [uri]})
    description = refused.json()["error_description"]
    assert description.startswith("https://evil.example/ CRITICAL forged a")
    assert description.isascii()
    assert len(description) < 300
    assert "\nCRITICAL" not in caplog.text


@pytest.mark.parametrize("scope", ACCEPTED_SCOPES)
async def test_scope_is_narrowed_to_what_is_offered(client: OAuthClient, scope: str | None) -> None:
    await client.register()
    url = (await client.authorize(scope=scope or "")).request.url
    query = {name: value for name, value in url.params.items() if name != "scope" or scope is not None}
    answer = await client.http.get("/authorize", params=query)
    page = await client.http.get(answer.headers["location"])
    upstream = await client.consent(page)
    asked = parse_qs(urlsplit(upstream.headers["location"]).query)["scope"][0].split()
    assert [name for name in asked if "access_as_user" in name] == [asked[0]]
    assert "email" not in asked
    assert asked.count("User.Read") == 1


@pytest.mark.parametrize("scope", ["Mail.Send", "openid Mail.Send", "access_as_user2", "https://graph.microsoft.com/"])
async def test_scope_of_which_nothing_is_offered_is_refused(client: OAuthClient, scope: str) -> None:
    await client.register()
    answer = client.answer(await client.authorize(scope=scope))
    assert (answer["error"], answer["state"]) == ("invalid_scope", client.state)
    assert answer["error_description"] == "The scopes are access_as_user."


async def test_sign_in_of_a_client_that_asks_for_more_lasts(client: OAuthClient) -> None:
    asked = "openid email offline_access access_as_user"
    await client.register()
    page = await client.http.get((await client.authorize(scope=asked)).headers["location"])
    back = await client.callback((await client.consent(page)).headers["location"])
    tokens = (await client.redeem(client.answer(back)["code"])).json()
    assert tokens["scope"] == "access_as_user"
    for scope in (asked, "access_as_user offline_access", " access_as_user", "offline_access", ""):
        answer = await client.refresh(tokens["refresh_token"], scope=scope)
        assert answer.status_code == 200, f"{scope!r}: {answer.text}"
        tokens = answer.json()
        assert tokens["scope"] == "access_as_user"
    refused = await client.refresh(tokens["refresh_token"], scope="Mail.Send")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


TWO_SCOPES = "access_as_user files_read"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def two_scopes(
    start: Start, certificates: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ASGIApp]:
    """A server whose every call needs two scopes."""
    folder = tmp_path_factory.mktemp("two-scopes")
    async with StandIns(folder=folder, tls=certificates, registration=[f"--scopes={TWO_SCOPES}"]) as standins:
        environment = await asyncio.to_thread(standins.environment)
        async with start(**environment, ENTRA_REQUIRED_SCOPES=TWO_SCOPES) as app:
            yield app


@pytest.mark.parametrize("scope", ["access_as_user", "files_read", "openid files_read Mail.Send", "openid", TWO_SCOPES])
async def test_client_that_asks_for_one_of_the_scopes_that_are_needed_gets_all(two_scopes: ASGIApp, scope: str) -> None:
    async with browser(two_scopes) as http:
        client = OAuthClient(http=http)
        await client.register()
        page = await http.get((await client.authorize(scope=scope)).headers["location"])
        back = await client.callback((await client.consent(page)).headers["location"])
        tokens = (await client.redeem(client.answer(back)["code"])).json()
        assert tokens["scope"] == TWO_SCOPES
        tokens = (await client.refresh(tokens["refresh_token"], scope=scope)).json()
        assert tokens["scope"] == TWO_SCOPES
        assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ({}, {"prompt": ["select_account"]}),
        ({"login_hint": "ada@contoso.com"}, {"login_hint": ["ada@contoso.com"]}),
        ({"prompt": "consent"}, {"prompt": ["consent"]}),
        ({"prompt": "login", "login_hint": "a&prompt=none"}, {"prompt": ["login"], "login_hint": ["a&prompt=none"]}),
        ({"prompt": "none", "login_hint": "a" * 255}, {"prompt": ["select_account"]}),
    ],
)
async def test_hints_for_the_sign_in_are_passed_on_when_they_came(
    client: OAuthClient, sent: dict[str, str], passed_on: dict[str, list[str]]
) -> None:
    await client.register()
    page = await client.http.get((await client.authorize(**sent)).headers["location"])
    upstream = parse_qs(urlsplit((await client.consent(page)).headers["location"]).query)
    assert {name: upstream[name] for name in ("login_hint", "prompt") if name in upstream} == passed_on
    denied = await client.consent(
        await client.http.get((await client.authorize(**sent)).headers["location"]), action="deny"
    )
    assert set(client.answer(denied)) == {"error", "error_description", "state", "iss"}


async def test_address_with_a_slash_leads_to_the_same_challenge_and_the_same_tools(client: OAuthClient) -> None:
    with_slash, without = [await client.http.post(path, json={}) for path in ("/mcp/", "/mcp")]
    assert with_slash.status_code == without.status_code == 401
    assert with_slash.headers["www-authenticate"] == without.headers["www-authenticate"]
    for path in ("/.well-known/oauth-protected-resource/mcp/", "/.well-known/oauth-authorization-server/mcp/"):
        assert (await client.http.get(path)).json() == (await client.http.get(path.removesuffix("/"))).json()
    call = tool_call("add", {"a": 1, "b": 1}, token=(await client.sign_in())["access_token"])
    assert structured(await client.http.post("/mcp/", **call)) == {"result": 2}


async def test_call_that_says_nothing_of_what_it_accepts_is_answered(client: OAuthClient) -> None:
    call = tool_call("add", {"a": 1, "b": 1}, token=(await client.sign_in())["access_token"])
    request = client.http.build_request("POST", "/mcp", **call)
    del request.headers["accept"]
    assert structured(await client.http.send(request)) == {"result": 2}
    request = client.http.build_request("POST", "/mcp", **call)
    request.headers["accept"] = "image/png"
    assert (await client.http.send(request)).status_code == 406
