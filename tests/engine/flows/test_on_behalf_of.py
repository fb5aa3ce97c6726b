"""Credentials that exchange people's tokens are few, and none of them is lost while somebody uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import SecretStr

from entra_mcp.auth.entra import on_behalf_of
from entra_mcp.auth.entra.app import EntraApp
from entra_mcp.auth.entra.credential import SecretCredential
from entra_mcp.auth.entra.on_behalf_of import OnBehalfOfCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.support.standins import StandIns

GRAPH = "https://graph.microsoft.com/User.Read"
PEOPLE = 12


async def test_exchanges_that_end_together_succeed_when_few_credentials_are_kept(
    environment: Callable[..., None], standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reread() -> None:
        raise AssertionError("the secret is right")

    environment()
    await asyncio.to_thread(standins.sign_in, "user")
    assertions = [await asyncio.to_thread(standins.token, "user") for _ in range(PEOPLE)]
    assert len(set(assertions)) == PEOPLE
    monkeypatch.setattr(on_behalf_of, "MAX_CREDENTIALS", 2)
    credentials = OnBehalfOfCredentials(
        app=EntraApp(
            client_id=standins.client_id,
            tenant_id=standins.tenant_id,
            authority=standins.authority,
            identifier_uri=f"api://{standins.client_id}",
        ),
        proof=SecretCredential(current=lambda: SecretStr(standins.client_secret), reread=reread),
    )

    async def token(assertion: str) -> str:
        return (await credentials.of_person(assertion).get_token(GRAPH)).token

    try:
        everybody = await asyncio.gather(*map(token, assertions))
        assert len(set(everybody)) == PEOPLE
        assert len(credentials._kept) == 2  # pyright: ignore[reportPrivateUsage] - nothing else shows it
        # These are kept with the tokens that they got.
        assert await asyncio.gather(*map(token, assertions[-2:])) == everybody[-2:]
        assert all(await asyncio.gather(*map(token, assertions)))
    finally:
        await credentials.close()
