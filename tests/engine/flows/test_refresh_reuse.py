"""A refresh token that comes again: its client lost the answer, or runs in two processes, or it was stolen."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from entra_mcp.auth import single_use
from entra_mcp.auth.entra.upstream import EntraOAuthClient
from entra_mcp.storage.ledger import Ledger
from entra_mcp.web import time_limits
from tests.engine.flows.conftest import over, proxied, started
from tests.engine.flows.test_single_use import works
from tests.support.app.server import running_app
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from entra_mcp.storage.ledger import Lease

    Environment = Callable[..., None]


async def test_refresh_by_many_at_once_gives_all_the_same_successor(client: OAuthClient) -> None:
    first = await client.sign_in()
    responses = await asyncio.gather(*(client.refresh(first["refresh_token"]) for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["refresh_token"] for response in responses}) == 1
    assert await works(client, responses[0].json())
    assert (await client.refresh(responses[0].json()["refresh_token"])).status_code == 200


async def test_refresh_reused_within_the_grace_window_has_one_lineage(client: OAuthClient) -> None:
    first = await client.sign_in()
    second = (await client.refresh(first["refresh_token"])).json()
    again = (await client.refresh(first["refresh_token"])).json()
    assert again["refresh_token"] == second["refresh_token"]
    assert again["access_token"] == second["access_token"]
    assert 0 < again["expires_in"] <= second["expires_in"]
    assert await works(client, again)


async def test_refresh_reused_after_the_grace_window_gets_the_successor_that_nobody_used(
    environment: Environment,
) -> None:
    """The answer was lost on the network, or another process of the same client has kept the older copy."""
    async with started(environment, MCP_REFRESH_GRACE_SECONDS="0") as client:
        first = await client.sign_in()
        second = (await client.refresh(first["refresh_token"])).json()
        for _ in range(2):
            again = (await client.refresh(first["refresh_token"])).json()
            assert again["refresh_token"] == second["refresh_token"]
            assert await works(client, again)


async def test_refresh_reused_after_its_successor_was_used_ends_the_sign_in(environment: Environment) -> None:
    """Also when another instance has redeemed the successor."""
    environment(MCP_REFRESH_GRACE_SECONDS="0")
    async with running_app() as one, over(one) as http, running_app() as other, over(other) as other_http:
        client = OAuthClient(http=http)
        first = await client.sign_in()
        second = (await client.refresh(first["refresh_token"])).json()
        elsewhere = OAuthClient(http=other_http, client_id=client.client_id)
        third = (await elsewhere.refresh(second["refresh_token"])).json()
        assert await works(client, third)
        reused = await client.refresh(first["refresh_token"])
        assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
        for tokens in (second, third):
            assert not await works(client, tokens)
            assert (await client.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_refresh_reused_within_the_grace_window_leads_on_although_its_successor_was_used(
    client: OAuthClient,
) -> None:
    """Two processes that share a sign-in and refresh in turns end in one lineage."""
    first = await client.sign_in()
    second = (await client.refresh(first["refresh_token"])).json()
    third = (await client.refresh(second["refresh_token"])).json()
    late = (await client.refresh(first["refresh_token"])).json()
    assert late["refresh_token"] == second["refresh_token"]
    assert (await client.refresh(late["refresh_token"])).json()["refresh_token"] == third["refresh_token"]
    assert await works(client, third)


async def test_used_refresh_token_of_another_client_tells_and_ends_nothing(environment: Environment) -> None:
    async with started(environment, MCP_REFRESH_GRACE_SECONDS="0") as client:
        thief = OAuthClient(http=client.http)
        first = await client.sign_in()
        second = (await client.refresh(first["refresh_token"])).json()
        await thief.register()
        assert await works(client, second)
        for token in (first["refresh_token"], second["refresh_token"]):
            stolen = await thief.refresh(token)
            assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
        assert await works(client, second)


async def test_whether_a_refresh_token_was_used_does_not_show_in_the_storage_requests_of_another_client(
    environment: Environment, azurite: str
) -> None:
    """Nor in how long its refusal takes."""
    async with proxied(environment, azurite) as (proxy, client):
        thief = OAuthClient(http=client.http)
        used = await client.sign_in()
        unused = (await client.refresh(used["refresh_token"])).json()
        await thief.register()
        costs: list[dict[str, int]] = []
        for tokens in (used, unused):
            proxy.requests.clear()
            assert (await thief.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
            costs.append(dict(proxy.requests))
        assert costs[0] == costs[1]


async def test_exchange_that_is_slower_than_its_lease_keeps_its_claim_from_another_instance(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test moves the clock of the leases, and decides when Entra ID is asked."""
    now, ask, renewed = [time.time()], asyncio.Event(), asyncio.Semaphore(0)
    renew, refresh = Ledger.renew, EntraOAuthClient.refresh_token

    async def counted(ledger: Ledger, lease: Lease, *, seconds: float) -> None:
        await renew(ledger, lease, seconds=seconds)
        renewed.release()

    async def held(entra: EntraOAuthClient, url: str, **parameters: str | None) -> dict[str, Any]:
        await ask.wait()
        return await refresh(entra, url, **parameters)

    async def renewals(count: int) -> None:
        async with asyncio.timeout(60):
            for _ in range(count):
                await renewed.acquire()

    environment()
    monkeypatch.setitem(Ledger.__init__.__kwdefaults__ or {}, "clock", lambda: now[0])
    monkeypatch.setattr(Ledger, "renew", counted)
    monkeypatch.setattr(EntraOAuthClient, "refresh_token", held)
    monkeypatch.setattr(single_use, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(single_use, "EXCHANGE_SECONDS", 120.0)
    monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 120.0)
    async with running_app() as slow, over(slow) as slow_http, running_app() as other, over(other) as http:
        client = OAuthClient(http=http)
        token = (await client.sign_in())["refresh_token"]
        exchanging = asyncio.create_task(OAuthClient(http=slow_http, client_id=client.client_id).refresh(token))
        for _ in range(2):
            await renewals(2)  # the second one began after the clock was moved
            now[0] += single_use.LEASE_SECONDS * 0.75
        again = asyncio.create_task(client.refresh(token))
        await renewals(4)
        ask.set()
        answers = await asyncio.gather(exchanging, again)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
