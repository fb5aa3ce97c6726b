"""Requests as real clients send them: each gets on, and hears what it got instead of what it asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from tests.engine.flows.web.conftest import browser
from tests.engine.real_clients import ACCEPTED_SCOPES, ASSUMED, LOOPBACK, RECORDED, RECORDED_BODIES, SYNTHETIC
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

CLIENTS = RECORDED | ASSUMED
BY_DEFAULT = [client for client, recorded in CLIENTS.items() if recorded.entry == "defaults"]
ENTRIES = " ".join({"defaults": None} | {recorded.entry: None for recorded in CLIENTS.values()})
PAIRS = [(client, uri) for client, recorded in CLIENTS.items() for uri in recorded.redirect_uris]
BODIES = RECORDED_BODIES | SYNTHETIC


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def open_to_all(start: Start) -> AsyncIterator[ASGIApp]:
    """A server whose setting names every client."""
    async with start(MCP_ALLOWED_REDIRECT_URIS=ENTRIES) as app:
        yield app


def registration(client: str) -> dict[str, Any]:
    recorded = CLIENTS[client]
    return {"client_name": client, "redirect_uris": list(recorded.redirect_uris), **recorded.registration}


async def sign_in_and_last(http: httpx2.AsyncClient, body: dict[str, Any], redirect_uri: str) -> dict[str, Any]:
    """Registers and takes every step to a call, also after a refresh; returns what was registered."""
    registered = (await http.post("/register", json=body)).json()
    client = OAuthClient(http=http, client_id=registered["client_id"], redirect_uri=redirect_uri)
    tokens = (await client.redeem(await client.code())).json()
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    tokens = (await client.refresh(tokens["refresh_token"])).json()
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    return registered


@pytest.mark.parametrize(("client", "redirect_uri"), PAIRS)
async def test_client_signs_in_at_every_redirect_uri_of_its_own(
    open_to_all: ASGIApp, client: str, redirect_uri: str
) -> None:
    async with browser(open_to_all) as http:
        registered = await sign_in_and_last(http, registration(client), redirect_uri)
    assert registered["redirect_uris"] == list(CLIENTS[client].redirect_uris)


@pytest.mark.parametrize("body", BODIES)
async def test_registration_leads_to_a_sign_in_and_says_what_it_got(http: httpx2.AsyncClient, body: str) -> None:
    sent = {"client_name": "Test client", "redirect_uris": [LOOPBACK], **BODIES[body]}
    registered = await sign_in_and_last(http, sent, sent["redirect_uris"][0])
    assert registered["redirect_uris"] == sent["redirect_uris"]
    assert registered.get("client_name") == (sent["client_name"] and sent["client_name"][:128])
    assert registered["grant_types"] == ["authorization_code", "refresh_token"]
    assert registered["response_types"] == ["code"]
    assert registered["token_endpoint_auth_method"] == "none"
    assert registered["scope"] == "access_as_user"
    assert "client_secret" not in registered


async def test_client_whose_id_is_in_the_basic_header_alone_gets_tokens(client: OAuthClient) -> None:
    form = {"grant_type": "authorization_code", "code": await client.code(), "code_verifier": client.verifier}
    form["client_id"] = ""
    tokens = (await client.http.post("/token", data=form, auth=(client.client_id, ""))).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    tokens = (await client.http.post("/token", data=form, auth=(client.client_id, ""))).json()
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    revoked = await client.http.post("/revoke", data={"token": tokens["refresh_token"]}, auth=(client.client_id, ""))
    assert revoked.status_code == 200
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("header", ["Basic", "Basic é", "Basic %%%", "Basic /w==", "Bearer x", "basic Og=="])
async def test_header_that_names_no_client_is_answered_like_none(client: OAuthClient, header: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    refused = await client.http.post("/token", data=form, headers=[(b"authorization", header.encode())])
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("client", [client for client in CLIENTS if client not in BY_DEFAULT])
async def test_registration_of_another_client_is_told_what_admits_it(
    http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture, client: str
) -> None:
    entry, uri = CLIENTS[client].entry, CLIENTS[client].redirect_uris[0]
    refused = await http.post("/register", json=registration(client))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    for told in (refused.json()["error_description"], caplog.text):
        assert uri in told
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


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://LOCALHOST:1/cb", "is not in the normal form of a URI, http://localhost:1/cb."),
        ("http://localhost:1/a/../b", "is not in the normal form of a URI, http://localhost:1/b."),
        ("https://vscode.dev:443/redirect", "is not in the normal form of a URI, https://vscode.dev/redirect."),
        ("http://user@localhost:1/cb", "has a user name, a fragment, dot segments or other parts"),
        ("http://localhost:1/cb#x", "has a user name, a fragment, dot segments or other parts"),
        ("http://10.0.0.1/cb", "is http, which no setting admits for another host than the person's own machine."),
        ("warp://mcp/oauth2callback", "; the word warp in MCP_ALLOWED_REDIRECT_URIS admits it."),
        ("https://agent.contoso.com/cb", "; MCP_ALLOWED_REDIRECT_URIS lists them."),
    ],
)
async def test_refused_redirect_uri_has_its_own_reason_wherever_it_comes(
    client: OAuthClient, caplog: pytest.LogCaptureFixture, uri: str, reason: str
) -> None:
    await client.register()
    refusals = {
        "registration": await client.http.post("/register", json={"redirect_uris": [uri]}),
        "authorization": await client.authorize(redirect_uri=uri),
    }
    for what, refused in refusals.items():
        assert (refused.status_code, "location" in refused.headers) == (400, False)
        told = refused.json()["error_description"]
        assert told.startswith(f"{uri} ")
        assert reason in told
        assert f"{what} was refused: {told}" in caplog.text


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
    back = await client.callback(upstream.headers["location"])
    tokens = (await client.redeem(client.answer(back)["code"])).json()
    assert tokens["scope"] == "access_as_user"
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


@pytest.mark.parametrize("scope", ["Mail.Send", "openid Mail.Send", "access_as_user2", "https://graph.microsoft.com/"])
async def test_scope_of_which_nothing_is_offered_is_refused(client: OAuthClient, scope: str) -> None:
    await client.register()
    answer = client.answer(await client.authorize(scope=scope))
    assert (answer["error"], answer["state"]) == ("invalid_scope", client.state)
    assert answer["error_description"] == "The scopes are access_as_user."


async def test_sign_in_of_a_client_that_asks_for_more_lasts(client: OAuthClient) -> None:
    asked = "openid email offline_access access_as_user"
    await client.register()
    page = await client.consent_page(scope=asked)
    tokens = (await client.redeem(await client.code(page))).json()
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
        page = await client.consent_page(scope=scope)
        tokens = (await client.redeem(await client.code(page))).json()
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
    page = await client.consent_page(**sent)
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
