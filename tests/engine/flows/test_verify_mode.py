"""`AUTH_MODE=verify`: tokens of Entra ID itself, no authorization server, no client secret."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.engine.flows.conftest import BASE_URL, over
from tests.support.app.server import running_app
from tests.support.mcp import result, structured
from tests.support.oauth import OAuthClient
from tests.support.tasks import in_own_task
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.standins import StandIns


@pytest_asyncio.fixture(loop_scope="module")
async def client(environment: Callable[..., None]) -> AsyncIterator[OAuthClient]:
    environment(AUTH_MODE="verify")
    async with in_own_task(running_app()) as app, in_own_task(over(app)) as http:
        yield OAuthClient(http=http)


async def test_token_of_entra_is_accepted(client: OAuthClient, standins: StandIns) -> None:
    caller = structured(await client.call(standins.token("admin"), "whoami"))
    assert caller["roles"] == ["Admin"]
    assert caller["tenant_id"] == standins.tenant_id


async def test_token_from_a_real_sign_in_is_accepted(client: OAuthClient, standins: StandIns) -> None:
    assert structured(await client.call(standins.sign_in_for_token(), "whoami"))["username"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "00000003-0000-0000-c000-000000000000"},
        {"iss": "https://sts.windows.net/11111111-1111-4111-8111-111111111111/"},
        {"tid": "33333333-3333-4333-8333-333333333333"},
        {"exp": 1_700_000_000},
    ],
    ids=str,
)
async def test_token_that_is_not_for_this_server_is_refused(
    client: OAuthClient, standins: StandIns, claims: dict[str, object]
) -> None:
    response = await client.call(standins.token("user", **claims), "whoami")
    assert response.status_code == 401
    assert "resource_metadata=" in response.headers["www-authenticate"]


@pytest.mark.parametrize("part", [b"[" * 15_000, b'{"kid": ' + b"[" * 15_000, b"9" * 5_000, b"\xff"])
async def test_token_that_cannot_be_decoded_is_refused_and_keeps_no_public_page_away(
    client: OAuthClient, part: bytes
) -> None:
    token = f"{urlsafe_b64encode(part).decode().rstrip('=')}.e30.AAAA"
    assert (await client.call(token, "whoami")).status_code == 401
    page = "/.well-known/oauth-protected-resource/mcp"
    assert (await client.http.get(page, headers={"Authorization": f"Bearer {token}"})).status_code == 200


@pytest.mark.parametrize("scopes", ["other", "ACCESS_AS_USER access_as_use", None])
async def test_token_without_the_scope_is_told_so(client: OAuthClient, standins: StandIns, scopes: str | None) -> None:
    response = await client.call(standins.token("user", scp=scopes), "whoami")
    assert response.status_code == 403
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", ')
    assert f'scope="{standins.api_scope}", resource_metadata="{BASE_URL}/.well-known/' in challenge


async def test_metadata_names_entra_as_the_authorization_server(client: OAuthClient, standins: StandIns) -> None:
    metadata = (await client.http.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert metadata["authorization_servers"] == [standins.issuer]
    assert metadata["scopes_supported"] == [standins.api_scope]


@pytest.mark.parametrize("path", ["/register", "/authorize", "/token", "/consent", "/auth/callback"])
async def test_there_is_no_authorization_server(client: OAuthClient, path: str) -> None:
    assert (await client.http.post(path)).status_code == 404


async def test_tools_that_need_the_client_secret_are_not_offered(client: OAuthClient, standins: StandIns) -> None:
    response = await client.http.post(
        "/mcp",
        headers={
            "Accept": "application/json, text/event-stream",
            "Authorization": f"Bearer {standins.token()}",
            "MCP-Protocol-Version": "2025-11-25",
        },
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    )
    offered = {tool["name"] for tool in result(response)["tools"]}
    assert "add" in offered
    assert not {"graph_me", "my_calendar"} & offered


async def test_home_page_tells_the_scope_instead_of_clients_that_cannot_register(
    client: OAuthClient, standins: StandIns
) -> None:
    page = (await client.http.get("/")).text
    assert standins.api_scope in page
    assert "claude mcp add" not in page


async def test_client_secret_is_not_needed(environment: Callable[..., None], own_standins: StandIns) -> None:
    environment(AUTH_MODE="verify", **own_standins.environment())
    async with vault_client(own_standins) as vault:
        await vault.set_secret("entra-client-secret", "out of reach", enabled=False)
    async with running_app() as app:
        assert app is not None
