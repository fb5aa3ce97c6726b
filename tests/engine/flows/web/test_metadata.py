"""Metadata is found wherever clients look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.flows.web.conftest import browser

if TYPE_CHECKING:
    import httpx2

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVER = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("alias", "original"),
    [
        (f"{SERVER}/mcp", SERVER),
        ("/.well-known/openid-configuration", SERVER),
        ("/.well-known/openid-configuration/mcp", SERVER),
        (RESOURCE, f"{RESOURCE}/mcp"),
    ],
)
async def test_alias_is_the_same_document(http: httpx2.AsyncClient, alias: str, original: str) -> None:
    expected = await http.get(original)
    found = await http.get(alias, headers={"Origin": "https://any.example"})
    assert (found.status_code, found.json()) == (200, expected.json())
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.json().get("issuer", "http://localhost:7071/") == "http://localhost:7071/"


@pytest.mark.parametrize("mode", ["proxy", "verify"])
async def test_resource_has_the_name_of_the_server(start: Start, mode: str) -> None:
    async with start(AUTH_MODE=mode, MCP_SERVER_NAME="Order desk") as app, browser(app) as http:
        for path in (RESOURCE, f"{RESOURCE}/mcp"):
            document = (await http.get(path)).json()
            assert (document["resource_name"], document["resource"]) == ("Order desk", "http://localhost:7071/mcp")
            assert document["bearer_methods_supported"] == ["header"]
            assert document["authorization_servers"]
            assert any(scope.endswith("access_as_user") for scope in document["scopes_supported"])


async def test_without_an_authorization_server_only_the_resource_has_metadata(start: Start) -> None:
    async with start(AUTH_MODE="verify") as app, browser(app) as http:
        assert (await http.get(RESOURCE)).json()["resource"] == "http://localhost:7071/mcp"
        assert (await http.get("/.well-known/openid-configuration")).status_code == 404
        assert (await http.get(SERVER)).status_code == 404
