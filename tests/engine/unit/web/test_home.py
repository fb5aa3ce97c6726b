"""The home page and the lines to paste into clients."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64decode
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from entra_mcp.web.connect import connection_guides
from entra_mcp.web.home import SCRIPT, HomePage
from entra_mcp.web.pages.layout import Brand

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings

URL = "https://mcp.contoso.com/mcp"
ENTRY = "contoso-tools"


type Get = Callable[[str], tuple[str, dict[str, str]]]


@pytest.fixture
def get(load_settings: Callable[..., Settings]) -> Get:
    def get(server_name: str = "Contoso Tools") -> tuple[str, dict[str, str]]:
        page = HomePage(load_settings(MCP_SERVER_NAME=server_name), brand=Brand(name=server_name))
        response = TestClient(Starlette(routes=[Route("/", page.show)])).get("/")
        assert response.status_code == 200
        return response.text, dict(response.headers)

    return get


class References(HTMLParser):
    """Collects what a browser would load or run, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        found = [value or "" for name, value in attrs if name in {"src", "href", "action"}]
        (self.links if tag == "a" else self.urls).extend(found)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._tag == "script":
            self.scripts.append(data.strip())


def test_page_names_server_address_and_clients(get: Get) -> None:
    text, _ = get("Contoso Tools")
    assert "<h1>Contoso Tools</h1>" in text
    assert URL in text
    for client in ("VS Code", "Claude Code", "Claude Desktop", "Cursor", "MCP Inspector"):
        assert client in text


def test_page_loads_nothing_and_runs_its_own_script_alone(get: Get) -> None:
    text, headers = get("Contoso Tools")
    references = References(text)
    assert all(url.startswith("data:image/svg+xml;base64,") for url in references.urls)
    assert [script for script in references.scripts if script] == [SCRIPT.strip()]
    assert references.handlers == []
    directives = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert directives["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]+'", directives["script-src"])
    assert directives["frame-ancestors"] == directives["form-action"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]


def test_links_are_those_that_clients_define(get: Get) -> None:
    text, _ = get("Contoso Tools")
    links = {url.partition(":")[0]: url for url in References(text).links}
    assert links.keys() == {"vscode", "cursor"}
    assert links["vscode"].startswith("vscode:mcp/install?")
    assert json.loads(unquote(links["vscode"].partition("?")[2])) == {"name": ENTRY, "type": "http", "url": URL}
    query = dict(parse_qsl(urlsplit(links["cursor"]).query))
    assert query["name"] == ENTRY
    assert json.loads(b64decode(query["config"])) == {"url": URL}


def test_page_escapes_the_server_name(get: Get) -> None:
    text, _ = get("a<script>alert(1)</script>")
    assert "<script>alert" not in text


def test_clients_that_cannot_reach_this_machine_are_left_out_on_loopback() -> None:
    everywhere = {guide.client for guide in connection_guides(URL, "x")}
    here = {guide.client for guide in connection_guides("http://localhost:7071/mcp", "x")}
    assert everywhere - here == {"Claude", "ChatGPT"}


@pytest.mark.parametrize("name", ["Contoso Tools", "Zoë's “MCP”; rm -rf $HOME", "x'y`z", "日本語", "!!!", "a  -- b"])
def test_guides_are_valid_in_their_place(name: str) -> None:
    guides = {guide.client: guide for guide in connection_guides(URL, name)}
    ((entry, server),) = json.loads(guides["VS Code"].text)["servers"].items()
    assert server == {"type": "http", "url": URL}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry)
    assert shlex.split(guides["Claude Code"].text)[5:7] == [entry, URL]
    assert shlex.split(guides["Codex"].text)[-3:] == [entry, "--url", URL]
    assert shlex.split(guides["Gemini CLI"].text)[-2:] == [entry, URL]
    assert json.loads(guides["opencode"].text)["mcp"][entry]["url"] == URL
    assert json.loads(guides["Cursor"].text)["mcpServers"] == {entry: {"url": URL}}
    assert (
        json.loads(guides["Claude Desktop, and others that only start programs"].text)["mcpServers"][entry]["args"][-1]
        == URL
    )
    assert URL in shlex.split(guides["MCP Inspector"].text)
