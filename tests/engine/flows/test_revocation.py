"""A client that signs out ends its sign-in, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.flows.conftest import over, started
from tests.support.app.server import running_app
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.token_requests import claims_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx2


async def revoke(client: OAuthClient, token: str, **changes: str) -> httpx2.Response:
    return await client.http.post("/revoke", data={"client_id": client.client_id, "token": token, **changes})


async def test_revocation_is_advertised(http: httpx2.AsyncClient) -> None:
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["revocation_endpoint"] == "http://localhost:7071/revoke"


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "access_token"}, {"token_type_hint": "something"}], ids=str)
async def test_revoked_token_ends_the_whole_sign_in(client: OAuthClient, which: str, hint: dict[str, str]) -> None:
    tokens = await client.sign_in()
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    response = await revoke(client, tokens[which], **hint)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert (await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})).status_code == 401
    assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await revoke(client, tokens[which])).status_code == 200


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("used", [True, False], ids=["used", "successor"])
async def test_revoked_sign_in_refuses_its_used_refresh_token_at_once(
    client: OAuthClient, used: bool, which: str
) -> None:
    """Whichever of its four tokens was revoked, and within the grace window too: a second window signs in again."""
    first = await client.sign_in()
    second = (await client.refresh(first["refresh_token"])).json()
    assert (await client.refresh(first["refresh_token"])).status_code == 200
    assert (await revoke(client, (first if used else second)[which])).status_code == 200
    assert (await client.call(second["access_token"], "add", {"a": 1, "b": 1})).status_code == 401
    for tokens in (first, second):
        refused = await client.refresh(tokens["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_token_of_another_client_is_not_revoked(client: OAuthClient) -> None:
    used = await client.sign_in()
    tokens = (await client.refresh(used["refresh_token"])).json()
    thief = OAuthClient(http=client.http)
    await thief.register()
    for token in (used["refresh_token"], tokens["access_token"], tokens["refresh_token"]):
        assert (await revoke(thief, token)).status_code == 200
    assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


@pytest.mark.parametrize(("seconds", "meanwhile"), [("300", 200), ("0", 401)])
async def test_sign_in_that_another_instance_ended(
    environment: Callable[..., None], seconds: str, meanwhile: int
) -> None:
    environment(MCP_UPSTREAM_TOKEN_CACHE_SECONDS=seconds)
    async with running_app() as first, running_app() as second, over(first) as ending, over(second) as using:
        client, elsewhere = OAuthClient(http=ending), OAuthClient(http=using)
        tokens = await client.sign_in()
        elsewhere.client_id = client.client_id
        assert structured(await elsewhere.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
        await revoke(client, tokens["access_token"])
        assert (await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})).status_code == 401
        assert (await elsewhere.call(tokens["access_token"], "add", {"a": 1, "b": 1})).status_code == meanwhile
        assert (await elsewhere.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await elsewhere.call(tokens["access_token"], "add", {"a": 1, "b": 1})).status_code == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "x" * 5000])
async def test_what_is_no_token_is_revoked_without_a_word(client: OAuthClient, token: str) -> None:
    await client.register()
    assert (await revoke(client, token)).status_code == 200


async def test_revocation_without_a_token_or_a_client_is_refused(client: OAuthClient) -> None:
    await client.register()
    missing = await client.http.post("/revoke", data={"client_id": client.client_id})
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    unknown = await client.http.post("/revoke", data={"client_id": "nobody", "token": "x"})
    assert (unknown.status_code, unknown.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("minutes", [None, "5"])
async def test_access_of_a_person_whom_entra_locks_out_ends_with_the_access_token(
    environment: Callable[..., None], entra: Callable[..., Awaitable[Any]], minutes: str | None
) -> None:
    """Nothing of Entra ID is asked at a call, so this is how long a call is answered that should not be."""
    async with started(environment, MCP_ACCESS_TOKEN_MINUTES=minutes) as client:
        first = await client.sign_in()
        tokens = (await client.refresh(first["refresh_token"])).json()
        for issued in (first, tokens):
            claims = claims_of(issued["access_token"])
            assert claims["exp"] - claims["iat"] == issued["expires_in"]
            assert issued["expires_in"] == 300 if minutes else 3600 <= issued["expires_in"] <= 5400
        await entra("POST", "/accounts/user/revoke")
        assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
        refused = await client.refresh(tokens["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
