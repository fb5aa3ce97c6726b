"""The home page and the lines to paste into clients."""

from __future__ import annotations

import json
import re
import shlex
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from entra_mcp.web.connect import connection_guides
from entra_mcp.web.home import HomePage
from entra_mcp.web.pages.layout import Brand

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings

URL = "https://mcp.contoso.com/mcp"


type Get = Callable[[str], tuple[str, dict[str, str]]]


@pytest.fixture
def get(load_settings: Callable[..., Settings]) -> Get:
    def get(server_name: str = "Contoso Tools") -> tuple[str, dict[str, str]]:
        page = HomePage(load_settings(), brand=Brand(name=server_name))
        response = TestClient(Starlette(routes=[Route("/", page.show)])).get("/")
        assert response.status_code == 200
        return response.text, dict(response.headers)

    return get


class References(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.urls += [value or "" for name, value in attrs if name in {"src", "href", "action"}]


def test_page_names_server_address_and_clients(get: Get) -> None:
    text, _ = get("Contoso Tools")
    assert "<h1>Contoso Tools</h1>" in text
    assert URL in text
    for client in ("VS Code", "Claude Code", "Claude Desktop", "Cursor", "MCP Inspector"):
        assert client in text


def test_page_loads_nothing_and_runs_nothing(get: Get) -> None:
    text, headers = get("Contoso Tools")
    references = References()
    references.feed(text)
    assert all(url.startswith("data:image/svg+xml;base64,") for url in references.urls)
    assert "script" not in references.tags
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]


def test_page_escapes_the_server_name(get: Get) -> None:
    text, _ = get("a<script>alert(1)</script>")
    assert "<script>" not in text


@pytest.mark.parametrize("name", ["Contoso Tools", "Zoë's “MCP”; rm -rf $HOME", "x'y`z", "日本語", "!!!", "a  -- b"])
def test_guides_are_valid_in_their_place(name: str) -> None:
    guides = {guide.client: guide for guide in connection_guides(URL, name)}
    ((entry, server),) = json.loads(guides["VS Code"].text)["servers"].items()
    assert server == {"type": "http", "url": URL}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry)
    assert shlex.split(guides["Claude Code"].text)[-2:] == [entry, URL]
    assert json.loads(guides["Cursor"].text)["mcpServers"] == {entry: {"url": URL}}
    assert json.loads(guides["Claude Desktop"].text)["mcpServers"][entry]["args"][-1] == URL
    assert URL in shlex.split(guides["MCP Inspector"].text)
