"""The consent page over HTTP: whom it names, what it lets a stranger say, and forms that are sent twice."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, override

import pytest

from tests.engine.flows.web.conftest import browser
from tests.support.forms import Forms
from tests.support.mcp import structured
from tests.support.oauth import REDIRECT_URI, OAuthClient

if TYPE_CHECKING:
    import httpx2
    from starlette.types import ASGIApp

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

LONG = 400
"""More than the heading says with any name."""


class Reader(HTMLParser):
    """What a page is made of: its tags, what it would load, and the text of its heading."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.heading = ""
        self._in_heading = False
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "poster"}]
        self._in_heading = self._in_heading or tag == "h1"

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_heading = self._in_heading and tag != "h1"

    @override
    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.heading += data


async def page_for(http: httpx2.AsyncClient, *, name: str | None, redirect_uri: str = REDIRECT_URI) -> str:
    client = OAuthClient(http=http, redirect_uri=redirect_uri)
    registered = await http.post("/register", json={"client_name": name, "redirect_uris": [redirect_uri]})
    assert registered.status_code == 201, registered.text
    client.client_id = registered.json()["client_id"]
    page = await client.consent_page()
    assert page.status_code == 200, page.text
    return page.text


async def test_consent_page_loads_and_runs_nothing(http: httpx2.AsyncClient) -> None:
    page = Reader(await page_for(http, name="Contoso Assistant"))
    assert page.heading == "Contoso Assistant wants to use Test server as you"
    assert page.loaded
    assert all(loaded.startswith("data:image/svg+xml;base64,") for loaded in page.loaded)
    assert {"script", "iframe", "object", "embed", "a"}.isdisjoint(page.tags)


@pytest.mark.parametrize(
    "name",
    [
        "</h1><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "<!-- ",
        "{{7*7}} ${7*7} %s &lt;b&gt;",
        "\u202eredaeR ybnetnoC\u202c",
        "\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
        "Entra\u200b\u00ad\ufeff\u2060 MCP",
        "a\r\nSet-Cookie: x=1\t\x00\x07\x1b[2J",
        "Z\u0317\u0318" * 40,
        "\ufdfa" * 128,
        "n" * 128,
        "\U000e0041\U000e0042",
        " ",
        "",
        None,
    ],
)
async def test_name_of_a_stranger_stays_a_name(http: httpx2.AsyncClient, name: str | None) -> None:
    plain = Reader(await page_for(http, name="x"))
    page = Reader(await page_for(http, name=name))
    assert [tag for tag in page.tags if tag != "bdi"] == [tag for tag in plain.tags if tag != "bdi"]
    assert page.heading.endswith(" wants to use Test server as you")
    assert len(page.heading) < LONG
    assert page.heading.isprintable()


@pytest.mark.parametrize(
    ("redirect_uri", "named"),
    [
        (REDIRECT_URI, ["a program on this computer", "localhost:53682"]),
        ("https://vscode.dev/redirect", ["vscode.dev", "on the list of addresses"]),
        ("cursor://anysphere.cursor-mcp/oauth/callback", ["cursor:", "installed on this computer"]),
    ],
)
async def test_page_names_the_receiver_of_the_sign_in(
    http: httpx2.AsyncClient, redirect_uri: str, named: list[str]
) -> None:
    page = await page_for(http, name="Contoso Assistant", redirect_uri=redirect_uri)
    assert all(words in page for words in (*named, redirect_uri))


async def test_page_names_what_entra_is_asked_for(http: httpx2.AsyncClient) -> None:
    page = await page_for(http, name="Contoso Assistant")
    assert "asks Microsoft for permission to" in page
    for allows, scope in (
        ("know who you are", "openid"),
        ("see your name", "profile"),
        ("stay signed in while you are away", "offline_access"),
        ("read your profile", "User.Read"),
    ):
        assert f"<li>{allows} (<code><bdi>{scope}</bdi></code>)</li>" in page


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("https://graph.microsoft.com/Mail.Send", "send mail as you (<code><bdi>https://graph.microsoft.com/Mail.Send"),
        ("Tasks.Read", "<li>use <code><bdi>Tasks.Read</bdi></code></li>"),
    ],
)
async def test_page_names_further_permissions_of_the_settings(start: Start, setting: str, shown: str) -> None:
    async with start(ENTRA_ADDITIONAL_SCOPES=f"openid {setting}") as app, browser(app) as http:
        page = await page_for(http, name="Contoso Assistant")
    assert shown in page
    assert "User.Read" not in page


async def test_form_sent_twice_leads_to_the_same_sign_in_and_it_ends_well(client: OAuthClient) -> None:
    await client.register()
    page = await client.consent_page()
    cookies = dict(client.http.cookies)
    first = await client.consent(page)
    second = await client.consent(page)
    # The browser may have thrown the first answer away, cookies and all.
    client.http.cookies.clear()
    client.http.cookies.update(cookies)
    third = await client.consent(page)
    assert [answer.status_code for answer in (first, second, third)] == [302] * 3
    assert first.headers["location"] == second.headers["location"] == third.headers["location"]
    tokens = await client.redeem(client.answer(await client.callback(third.headers["location"]))["code"])
    assert structured(await client.call(tokens.json()["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


@pytest.mark.parametrize("forged", [{}, {"csrf_token": "x"}, {"action": "deny"}])
async def test_form_sent_again_from_another_browser_is_refused(
    client: OAuthClient, app: ASGIApp, forged: dict[str, str]
) -> None:
    await client.register()
    page = await client.consent_page()
    await client.consent(page)
    async with browser(app) as other:
        response = await other.post(str(page.url), data=Forms(page.text).fields | {"action": "approve"} | forged)
    assert response.status_code in {400, 403}
    assert "location" not in response.headers


async def test_callback_in_another_browser_is_refused_and_stays_good_for_its_own(
    client: OAuthClient, app: ASGIApp
) -> None:
    """Somebody who sends a victim to the sign-in of a consent of their own gets no code for the victim."""
    await client.register()
    upstream = (await client.consent(await client.consent_page())).headers["location"]
    parameters = await client.entra_choice(upstream, await client.entra_page(upstream))
    async with browser(app) as other, browser(app) as new:
        # It has cookies of this server, of another sign-in.
        stranger = OAuthClient(http=other)
        await stranger.register()
        await stranger.consent(await stranger.consent_page())
        for victim in (other, new):
            refused = await OAuthClient(http=victim).entra_return(parameters)
            assert (refused.status_code, "location" in refused.headers) == (403, False)
    assert (await client.redeem(client.answer(await client.entra_return(parameters))["code"])).status_code == 200


async def test_consent_is_asked_for_at_every_sign_in(client: OAuthClient) -> None:
    await client.register()
    for _ in range(2):
        page = await client.consent_page()
        assert (page.status_code, Forms(page.text).fields["txn_id"] != "") == (200, True)
        back = await client.callback((await client.consent(page)).headers["location"])
        assert "code" in client.answer(back)
