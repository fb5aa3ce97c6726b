"""Clients whose id is the URL of a document: what is fetched for them, and what they may do."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio

from entra_mcp.auth.clients import documents as client_documents
from entra_mcp.auth.clients.fetches import ClientFetches, TooManyLookupsError
from entra_mcp.web import time_limits
from entra_mcp.web.exchange_queue import MAX_CONCURRENT
from tests.engine.flows.web.conftest import DOCUMENT, PUBLIC, browser, from_address
from tests.support.mcp import structured
from tests.support.oauth import REDIRECT_URI, OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def documented(start: Start) -> AsyncIterator[ASGIApp]:
    async with start() as app:
        yield app


@pytest_asyncio.fixture(loop_scope="package")
async def client(documented: ASGIApp) -> AsyncIterator[OAuthClient]:
    async with in_own_task(browser(documented)) as http:
        yield OAuthClient(http=http, client_id=PUBLIC)


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


async def test_document_that_is_remembered_takes_no_place_among_fetches(
    client: OAuthClient, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come at once, of one network."""

    async def no_place(fetches: ClientFetches, fetch: object, *, seconds: float) -> None:
        raise TooManyLookupsError("there is no place")

    served["seconds"] = 60
    client.client_id = f"{PUBLIC}?remembered"
    served["document"] = served["document"] | {"client_id": client.client_id}
    assert (await client.authorize()).status_code == 302
    monkeypatch.setattr(ClientFetches, "run", no_place)
    answers = await asyncio.gather(*(client.authorize() for _ in range(100)))
    assert {answer.status_code for answer in answers} == {302}
    other = OAuthClient(http=client.http, client_id=PUBLIC)
    assert (await other.authorize()).status_code == 503


async def test_documented_client_signs_in_and_refreshes(client: OAuthClient, served: dict[str, Any]) -> None:
    page = await client.consent_page()
    assert served["document"]["client_name"] in page.text
    tokens = (await client.redeem(await client.code(page))).json()
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("documented_uri", "redirect_uri", "status"),
    [
        ("http://localhost/callback", REDIRECT_URI, 302),
        ("http://localhost:1/callback", REDIRECT_URI, 302),
        ("http://127.0.0.1/callback", "http://127.0.0.1:53682/callback", 302),
        ("http://[::1]:1/callback", "http://[::1]:53682/callback", 302),
        ("http://127.0.0.1/callback", REDIRECT_URI, 400),
        ("http://localhost/other", REDIRECT_URI, 400),
        ("http://localhost.evil.example/callback", REDIRECT_URI, 400),
    ],
)
async def test_port_of_a_redirect_uri_on_loopback_is_free(
    client: OAuthClient, served: dict[str, Any], documented_uri: str, redirect_uri: str, status: int
) -> None:
    served["document"] = DOCUMENT | {"redirect_uris": [documented_uri]}
    assert (await client.authorize(redirect_uri=redirect_uri)).status_code == status


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


async def test_documented_client_hears_which_setting_admits_its_redirect_uri(
    client: OAuthClient, served: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    uri = "https://global.consent.azure-apim.net/redirect/foundry-abc"
    served["document"] = DOCUMENT | {"redirect_uris": [uri]}
    answer = await client.authorize(redirect_uri=uri)
    for url in (answer.request.url, answer.request.url.copy_remove_param("redirect_uri")):
        caplog.clear()
        refused = await client.http.get(url)
        assert (refused.status_code, "location" in refused.headers) == (400, False)
        reason = refused.json()["error_description"]
        assert reason.startswith(uri)
        assert "the word copilot-studio in MCP_ALLOWED_REDIRECT_URIS" in reason
        assert f"An authorization was refused: {reason}" in caplog.text


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("scope", ["https://graph.microsoft.com/Mail.Send", "openid Mail.Send", "Mail.Send"])
async def test_documented_client_asks_for_no_scope_beyond_this_servers(client: OAuthClient, scope: str) -> None:
    answer = await client.authorize(scope=scope)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == ["invalid_scope"]


async def test_documented_client_without_the_refresh_grant_may_refresh(
    client: OAuthClient, served: dict[str, Any]
) -> None:
    served["document"] = {name: value for name, value in DOCUMENT.items() if name != "grant_types"}
    tokens = (await client.redeem(await client.code())).json()
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


GOOD = json.dumps(DOCUMENT).encode()


@pytest.mark.parametrize(
    "sent",
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
        10**400,
    ],
    ids=lambda sent: repr(sent)[:40],
)
async def test_hostile_document_makes_no_client(client: OAuthClient, served: dict[str, Any], sent: bytes | int) -> None:
    served["body" if isinstance(sent, bytes) else "seconds"] = sent
    for _ in range(2):  # the second time from what is kept of the first
        refused = await client.authorize()
        assert (refused.status_code, "location" in refused.headers) == (400, False)
        assert (await client.refresh("x")).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"failure": httpx2.ConnectError("x")}, 503),
        ({"failure": httpx2.ReadTimeout("x")}, 503),
        *(({"status": away}, 503) for away in (429, 500, 502, 503, 504)),
        ({"status": 404}, 401),
        ({"document": {}}, 401),
    ],
    ids=repr,
)
async def test_document_that_cannot_be_fetched_for_a_while_signs_nobody_out(
    client: OAuthClient, served: dict[str, Any], fault: dict[str, Any], status: int
) -> None:
    tokens = (await client.redeem(await client.code())).json()
    served |= fault
    answer = await client.refresh(tokens["refresh_token"])
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)
    served |= {"failure": None, "status": 200, "document": DOCUMENT}
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200


async def test_metadata_names_what_clients_may_sign_with(documented: ASGIApp) -> None:
    async with in_own_task(browser(documented)) as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["client_id_metadata_document_supported"] is True
    for endpoint in ("token", "revocation"):
        assert metadata[f"{endpoint}_endpoint_auth_methods_supported"] == ["none", "private_key_jwt"]
        algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert set(algorithms) >= {"RS256", "ES256"}
        assert not {"none", "HS256"} & set(algorithms)


async def test_document_is_neither_advertised_nor_fetched_where_the_settings_say_so(
    start: Start, served: dict[str, Any]
) -> None:
    async with start(MCP_CLIENT_METADATA_DOCUMENTS="false") as app, in_own_task(browser(app)) as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert "client_id_metadata_document_supported" not in metadata
        assert (await OAuthClient(http=http, client_id=PUBLIC).authorize()).status_code == 400
    assert "fetched" not in served


async def test_network_that_has_too_many_names_looked_up_is_told_to_wait(start: Start) -> None:
    limits = {"MCP_REGISTRATIONS_PER_MINUTE": "2", "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100"}
    async with start(**limits) as app, in_own_task(browser(app)) as http:
        answers = [
            await OAuthClient(http=http, client_id=f"https://10.0.0.{number}/client.json").authorize()
            for number in range(3)
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 503]
    assert "retry-after" in answers[-1].headers


async def test_all_networks_together_have_so_many_names_looked_up(start: Start) -> None:
    limits = {"MCP_REGISTRATIONS_PER_MINUTE": "100", "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "2"}
    async with start(**limits) as app, in_own_task(browser(app)) as http:
        statuses: list[int] = []
        for number in range(3):
            http.headers.update(from_address(f"203.0.{number}.7"))
            client = OAuthClient(http=http, client_id=f"https://10.0.0.{number}/client.json")
            statuses.append((await client.authorize()).status_code)
    assert statuses == [400, 400, 503]


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Names below `slow.example` are looked up until the test lets them go."""
    resolve, let_go = socket.getaddrinfo, threading.Event()

    def hang(host: str, *options: Any) -> Any:  # noqa: ANN401 - as it is
        if str(host).endswith(".slow.example"):
            let_go.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no name server")
        return resolve(host, *options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield let_go
    let_go.set()


async def test_documents_that_do_not_come_keep_nobody_else_from_refreshing(
    client: OAuthClient, monkeypatch: pytest.MonkeyPatch, slow_names: threading.Event
) -> None:
    """More of them than there are turns for exchanges, and from several networks."""
    monkeypatch.setattr(client_documents, "FETCH_SECONDS", 120)
    monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 120)
    tokens = await client.sign_in()
    strangers = [
        asyncio.create_task(
            client.http.post(
                "/token",
                data={
                    "grant_type": "refresh_token",
                    "refresh_token": "made-up",
                    "client_id": f"https://{number}.slow.example/client.json",
                },
                headers=from_address(f"203.0.{number % 5}.7"),
            )
        )
        for number in range(2 * MAX_CONCURRENT)
    ]
    await asyncio.sleep(0)
    refreshed = await client.refresh(tokens["refresh_token"])
    assert refreshed.status_code == 200
    assert not any(stranger.done() for stranger in strangers)
    slow_names.set()
    assert {answer.status_code for answer in await asyncio.gather(*strangers)} == {503}


async def test_names_that_never_resolve_keep_nobody_else_from_resolving_theirs(
    client: OAuthClient, monkeypatch: pytest.MonkeyPatch, slow_names: threading.Event
) -> None:
    """Of several networks, and more than the event loop has threads for names; while all of them are looked up."""
    monkeypatch.setattr(client_documents, "FETCH_SECONDS", 120)
    monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 120)
    strangers: list[asyncio.Task[httpx2.Response]] = []
    for number in range(40):
        client.http.headers.update(from_address(f"203.0.{number % 4}.7"))
        stranger = OAuthClient(http=client.http, client_id=f"https://{number}.slow.example/client.json")
        strangers.append(asyncio.create_task(stranger.authorize()))
        await asyncio.sleep(0)
    # Whoever comes from elsewhere still has a document looked up: this one at an address that is not public.
    client.http.headers.update(from_address("203.0.113.7"))
    client.client_id = "https://10.0.0.1/client.json"
    assert (await client.authorize()).status_code == 400
    assert await asyncio.get_running_loop().getaddrinfo("localhost", 443)
    assert not any(stranger.done() for stranger in strangers)
    slow_names.set()
    assert {answer.status_code for answer in await asyncio.gather(*strangers)} == {503}
