"""Credentials that exchange people's tokens are few, and none of them is closed or lost while somebody uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from azure.identity.aio import OnBehalfOfCredential
from pydantic import SecretStr

from entra_mcp.auth.entra import on_behalf_of
from entra_mcp.auth.entra.credential import SecretCredential
from entra_mcp.auth.entra.on_behalf_of import OnBehalfOfCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.standins import StandIns

GRAPH = "https://graph.microsoft.com/User.Read"
PEOPLE = 12


def made(standins: StandIns) -> OnBehalfOfCredentials:
    async def reread() -> None:
        raise AssertionError("the secret is right")

    return OnBehalfOfCredentials(
        tenant_id=standins.tenant_id,
        client_id=standins.client_id,
        authority=standins.authority,
        credential=SecretCredential(current=lambda: SecretStr(standins.client_secret), reread=reread),
    )


async def test_exchanges_that_end_together_close_what_is_too_much_without_failing(
    environment: Callable[..., None], standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment()
    await asyncio.to_thread(standins.sign_in, "user")
    assertions = [await asyncio.to_thread(standins.token, "user") for _ in range(PEOPLE)]
    assert len(set(assertions)) == PEOPLE

    credentials = made(standins)

    async def token(assertion: str) -> str:
        return (await credentials.get(assertion).get_token(GRAPH)).token

    try:
        everybody = await asyncio.gather(*map(token, assertions))
        monkeypatch.setattr(on_behalf_of, "MAX_CREDENTIALS", 2)
        # These are kept, so both answer at once and find the same ones too much.
        assert await asyncio.gather(*map(token, assertions[-2:])) == everybody[-2:]
        assert all(await asyncio.gather(*map(token, assertions)))
    finally:
        await credentials.close()


@pytest.mark.parametrize("seconds", [0, 3600], ids=["fails", "hangs"])
async def test_credential_of_somebody_else_that_does_not_close_fails_nobody(
    environment: Callable[..., None],
    standins: StandIns,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    seconds: float,
) -> None:
    really_close = OnBehalfOfCredential.close

    async def close(credential: OnBehalfOfCredential) -> None:
        await really_close(credential)
        await asyncio.sleep(seconds)
        raise OSError("the socket is gone")

    environment()
    await asyncio.to_thread(standins.sign_in, "user")
    monkeypatch.setattr(on_behalf_of, "MAX_CREDENTIALS", 1)
    monkeypatch.setattr(on_behalf_of, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(OnBehalfOfCredential, "close", close)
    credentials = made(standins)
    for _ in range(3):
        assertion = await asyncio.to_thread(standins.token, "user")
        assert (await credentials.get(assertion).get_token(GRAPH)).token
    await credentials.close()
    assert caplog.text.count("did not close") == 3
