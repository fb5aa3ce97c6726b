"""The window-less browser against a real server: redirects, cookies, forms, and where it gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from local.check.browser import Browser, BrowserError, without_query
from local.check.pages import Button, Link, Page, read_page
from local.check.storage import file_store, is_empty
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

PAGE = """<!doctype html><title> Sign  in </title><style>.x{}</style><script>button()</script>
<a href="/elsewhere?a=1&amp;b=2">Use another account</a>
<form method="POST" action="">
  <input type="hidden" name="csrf" value="a&quot;b"><input name="plain" value="p"><input type="text" name="empty">
  <input type="checkbox" name="on" checked><input type="checkbox" name="off" value="1">
  <button type="button">Allow nothing</button><button type="reset">Allow too</button>
  <button name="action" value="approve"><span aria-hidden="true">AA<br></span> Allow
     <b>Access</b></button>
  <button name="action" value="deny">Deny</button><input type="submit" name="send" value="Send">
</form><p>Words</p>"""


def test_page_offers_what_a_person_sees() -> None:
    page = read_page(PAGE, url="http://h/p", status=200)
    assert [way.label for way in page.ways] == ["Use another account", "Allow Access", "Deny", "Send"]
    assert page.text == "Use another account Allow nothing Allow too Allow Access Deny Words"


def test_form_holds_what_a_browser_would_send() -> None:
    button = read_page(PAGE, url="http://h/p", status=200).way("allow")
    assert isinstance(button, Button)
    assert (button.name, button.value) == ("action", "approve")
    assert button.form.method == "post"
    assert button.form.fields == [("csrf", 'a"b'), ("plain", "p"), ("empty", ""), ("on", "on")]


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("allow", "Allow Access"),
        ("ACCESS", "Allow Access"),
        ("another", "Use another account"),
        ("Send", "Send"),
        ("Reject", None),
    ],
)
def test_way_is_found_by_its_words(label: str, found: str | None) -> None:
    way = read_page(PAGE, url="http://h/p", status=200).way(label)
    assert (way.label if way else None) == found


def test_words_at_the_beginning_win_over_words_within_and_buttons_over_links() -> None:
    html = '<a href="/">Next</a><form><button>Go next</button><button>Next</button></form>'
    way = read_page(html, url="http://h/", status=200).way("next")
    assert isinstance(way, Button)
    assert way.label == "Next"


@pytest.mark.parametrize(
    "html", ["", "<button>Outside</button>", "</form></a></button></title>", "<form><input>", "<a>"]
)
def test_broken_pages_offer_nothing_and_break_nothing(html: str) -> None:
    assert read_page(html, url="http://h/", status=200).ways == []


async def start(request: Request) -> Response:
    response = RedirectResponse("/page", 302)
    response.set_cookie("seen", "yes", httponly=True)
    response.headers.append("set-cookie", "other=1; Path=/page")
    return response


async def page(request: Request) -> Response:
    if request.method == "POST":
        form = await request.form()
        fields = "&".join(f"{name}={value}" for name, value in form.multi_items())
        cookies = ",".join(f"{name}={value}" for name, value in sorted(request.cookies.items()))
        return PlainTextResponse(f"{fields}|{cookies}|{request.headers['origin']}|{request.url.query}")
    return HTMLResponse(PAGE)


async def search(request: Request) -> Response:
    if request.query_params:
        return PlainTextResponse(request.url.query)
    return HTMLResponse('<form action="/search?dropped=1"><input name="q" value="x y"><button>Find</button></form>')


async def kept(request: Request) -> Response:
    return RedirectResponse("/page?again", 307)


async def circle(request: Request) -> Response:
    return RedirectResponse("/circle", 302)


async def refused(request: Request) -> Response:
    return HTMLResponse("<p>Not you</p><form><button>Allow</button></form>", status_code=403)


async def same(request: Request) -> Response:
    return HTMLResponse('<form method="post"><button>Allow</button></form>')


async def form(request: Request) -> Response:
    return HTMLResponse('<form method="post" action="/kept"><input name="a" value="b"><button>Allow</button></form>')


async def elsewhere(request: Request) -> Response:
    return PlainTextResponse(f"elsewhere {request.url.query}")


@pytest.fixture
async def site() -> AsyncIterator[str]:
    routes = [
        Route("/start", start),
        Route("/page", page, methods=["GET", "POST"]),
        Route("/search", search),
        Route("/kept", kept, methods=["POST"]),
        Route("/circle", circle),
        Route("/refused", refused),
        Route("/same", same, methods=["GET", "POST"]),
        Route("/form", form),
        Route("/elsewhere", elsewhere),
    ]
    async with serving(Starlette(routes=routes)) as port:
        yield f"http://127.0.0.1:{port}"


async def walk(url: str, *labels: str) -> tuple[str, list[tuple[str, str]]]:
    clicks: list[tuple[str, str]] = []

    def note(label: str, page: Page) -> None:
        clicks.append((label, without_query(page.url)))

    async with Browser() as browser:
        end = await browser.walk(await browser.open(url), labels, on_click=note)
    return end.text, clicks


async def test_cookies_of_a_redirect_come_back_with_the_form(site: str) -> None:
    text, clicks = await walk(f"{site}/start", "Allow")
    fields, cookies, origin, _ = text.split("|")
    assert fields == 'csrf=a"b&plain=p&empty=&on=on&action=approve'
    assert cookies == "other=1,seen=yes"
    assert origin == site
    assert clicks == [("Allow Access", f"{site}/page")]


async def test_link_is_followed_and_the_first_label_wins(site: str) -> None:
    text, _ = await walk(f"{site}/page", "Use another", "Allow")
    assert text == "elsewhere a=1&b=2"


async def test_get_form_replaces_the_query_of_its_action(site: str) -> None:
    assert (await walk(f"{site}/search", "Find"))[0] == "q=x+y"


async def test_redirect_307_repeats_the_post_with_its_body(site: str) -> None:
    assert (await walk(f"{site}/form", "Allow"))[0].startswith("a=b|")


async def test_page_that_offers_nothing_ends_the_walk(site: str) -> None:
    text, clicks = await walk(f"{site}/page", "No such words")
    assert "Words" in text
    assert clicks == []


async def test_error_page_stops_the_walk_and_is_quoted(site: str) -> None:
    with pytest.raises(BrowserError, match=r"stopped at .*/refused \(status 403\). It says: .Not you") as caught:
        await walk(f"{site}/refused?secret=1", "Allow")
    assert caught.value.page.status == 403
    assert "secret" not in str(caught.value)


async def test_endless_redirects_and_endless_pages_end(site: str) -> None:
    with pytest.raises(BrowserError, match="Too many redirects"):
        await walk(f"{site}/circle", "Allow")
    with pytest.raises(BrowserError, match="in circles"):
        await walk(f"{site}/same", "Allow")


def test_link_keeps_its_address_unescaped() -> None:
    way = read_page('<a href="?a=1&amp;b=2">x</a>', url="http://h/", status=200).way("x")
    assert isinstance(way, Link)
    assert way.url == "?a=1&b=2"


# What the client keeps from one run to the next.


async def test_store_keeps_values_for_the_next_process_and_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "sign-in"
    store = file_store(folder)
    assert is_empty(folder)
    assert await store.get("http://h/mcp/tokens", collection="mcp-oauth-token") is None
    await store.put("http://h/mcp/tokens", {"a": 1}, collection="mcp-oauth-token")
    assert not is_empty(folder)
    assert await file_store(folder).get("http://h/mcp/tokens", collection="mcp-oauth-token") == {"a": 1}
    assert [path.stat().st_mode & 0o077 for path in (folder, *folder.glob("*/*.json"))] == [0, 0]
