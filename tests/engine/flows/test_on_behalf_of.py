"""Credentials that exchange people's tokens are few, and none of them is closed or lost while somebody uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import SecretStr

from entra_mcp.auth import on_behalf_of
from entra_mcp.auth.client_credential import SecretCredential
from entra_mcp.auth.on_behalf_of import OnBehalfOfCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.support.standins import StandIns

GRAPH = "https://graph.microsoft.com/User.Read"
PEOPLE = 12


async def test_exchanges_that_end_together_close_what_is_too_much_without_failing(
    environment: Callable[..., None], standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment()
    await asyncio.to_thread(standins.sign_in, "user")
    assertions = [await asyncio.to_thread(standins.token, "user") for _ in range(PEOPLE)]
    assert len(set(assertions)) == PEOPLE

    async def reread() -> None:
        raise AssertionError("the secret is right")

    credentials = OnBehalfOfCredentials(
        tenant_id=standins.tenant_id,
        client_id=standins.client_id,
        authority=standins.authority,
        credential=SecretCredential(current=lambda: SecretStr(standins.client_secret), reread=reread),
    )

    async def token(assertion: str) -> str:
        return (await credentials.get(assertion).get_token(GRAPH)).token

    try:
        everybody = await asyncio.gather(*map(token, assertions))
        monkeypatch.setattr(on_behalf_of, "MOST", 2)
        # These are kept, so both answer at once and find the same ones too much.
        assert await asyncio.gather(*map(token, assertions[-2:])) == everybody[-2:]
        assert all(await asyncio.gather(*map(token, assertions)))
    finally:
        await credentials.close()
