"""The home page and the lines to paste into clients."""

from __future__ import annotations

import json
import shlex
from html.parser import HTMLParser

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from entra_mcp.web.connect import connection_guides
from entra_mcp.web.home import HomePage

URL = "https://mcp.contoso.com/mcp"


def get(server_name: str = "Contoso Tools", mcp_url: str = URL) -> tuple[str, dict[str, str]]:
    page = HomePage(server_name=server_name, mcp_url=mcp_url)
    response = TestClient(Starlette(routes=[Route("/", page.show)])).get("/")
    assert response.status_code == 200
    return response.text, dict(response.headers)


class References(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.urls += [value or "" for name, value in attrs if name in {"src", "href", "action"}]


def test_page_names_server_address_and_clients() -> None:
    text, _ = get()
    assert "<h1>Contoso Tools</h1>" in text
    assert URL in text
    for client in ("VS Code", "Claude Code", "Claude Desktop", "Cursor", "MCP Inspector"):
        assert client in text


def test_page_loads_nothing_and_runs_nothing() -> None:
    text, headers = get()
    references = References()
    references.feed(text)
    assert all(url.startswith("data:image/svg+xml;base64,") for url in references.urls)
    assert "script" not in references.tags
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]


def test_page_escapes_the_server_name() -> None:
    text, _ = get(server_name="<script>alert(1)</script>")
    assert "<script>" not in text


@pytest.mark.parametrize("name", ["Contoso Tools", "Zoë's “MCP”; rm -rf $HOME", "x'y`z"])
def test_guides_are_valid_in_their_place(name: str) -> None:
    guides = {guide.client: guide for guide in connection_guides(URL, name)}
    vscode = shlex.split(guides["VS Code"].text)
    assert vscode[:2] == ["code", "--add-mcp"]
    assert json.loads(vscode[2])["url"] == URL
    assert shlex.split(guides["Claude Code"].text)[-1] == URL
    (entry,) = json.loads(guides["Cursor"].text)["mcpServers"].values()
    assert entry == {"url": URL}
    (entry,) = json.loads(guides["Claude Desktop"].text)["mcpServers"].values()
    assert entry["args"][-1] == URL
    assert URL in shlex.split(guides["MCP Inspector"].text)
