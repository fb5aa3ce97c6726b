"""`AUTH_MODE=federated`: login, refresh and on-behalf-of with the managed identity's token, and no client secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.engine.flows.conftest import started
from tests.support.mcp import structured
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.standins import StandIns


async def test_everything_works_without_a_client_secret(
    environment: Callable[..., None], own_standins: StandIns
) -> None:
    (secret,) = own_standins.control("GET", "/secrets")
    own_standins.control("DELETE", f"/secrets/{secret['id']}")
    async with vault_client(own_standins) as vault:
        await vault.set_secret("entra-client-secret", "out of reach", enabled=False)
    async with started(environment, **own_standins.environment(), AUTH_MODE="federated") as client:
        tokens = await client.sign_in()
        assert structured(await client.call(tokens["access_token"], "graph_me"))["username"]
        renewed = (await client.refresh(tokens["refresh_token"])).json()
        assert structured(await client.call(renewed["access_token"], "graph_me"))["username"]


async def test_identity_that_the_registration_does_not_trust_is_an_outage(
    environment: Callable[..., None], own_standins: StandIns
) -> None:
    async with started(environment, **own_standins.environment(), AUTH_MODE="federated") as client:
        tokens = await client.sign_in()
        own_standins.control("POST", "/faults", {"code": 700213, "grant_type": "refresh_token", "times": 1})
        refused = await client.refresh(tokens["refresh_token"])
        assert refused.status_code == 503
        assert (await client.refresh(tokens["refresh_token"])).status_code == 200
