"""Following the vault: what changes there is used soon, what fails there changes nothing."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from entra_mcp.errors import VaultError
from entra_mcp.vault import rotation
from entra_mcp.vault.client import Secrets
from entra_mcp.vault.keys import KeyRing, RootKey
from entra_mcp.vault.rotation import REREAD_SECONDS, CurrentSecrets

OLD = RootKey(version="1", material=bytes(range(32)))
NEW = RootKey(version="2", material=bytes(range(1, 33)))


class FakeVault:
    """What the vault holds, how often it was read, and whether it answers."""

    def __init__(self) -> None:
        self.secrets = Secrets(signing_keys=KeyRing((OLD,)), client_secret=SecretStr("first"))
        self.reads = 0
        self.up = True
        self.now = 1000.0
        self.answer = asyncio.Event()
        self.answer.set()

    async def read(self) -> Secrets:
        self.reads += 1
        await self.answer.wait()
        if not self.up:
            raise VaultError("down")
        return self.secrets

    def current(self) -> CurrentSecrets:
        return CurrentSecrets(self.secrets, read=self.read, clock=lambda: self.now)

    def rotate(self) -> None:
        self.secrets = Secrets(signing_keys=KeyRing((NEW, OLD)), client_secret=SecretStr("second"))


async def test_reread_finds_new_versions() -> None:
    vault = FakeVault()
    current = vault.current()
    vault.rotate()
    vault.now += REREAD_SECONDS
    await current.reread()
    assert current.ring.keys == (NEW, OLD)
    secret = current.client_secret()
    assert secret is not None
    assert secret.get_secret_value() == "second"


async def test_reread_is_done_every_ten_seconds_at_most() -> None:
    vault = FakeVault()
    current = vault.current()
    for _ in range(50):
        await current.reread()
    assert vault.reads == 0
    vault.now += REREAD_SECONDS
    await asyncio.gather(*(current.reread() for _ in range(50)))
    assert vault.reads == 1


async def test_vault_that_is_away_changes_nothing() -> None:
    vault = FakeVault()
    current = vault.current()
    vault.rotate()
    vault.up = False
    vault.now += REREAD_SECONDS
    for _ in range(2):
        with pytest.raises(VaultError):
            await current.reread()
    assert vault.reads == 1, "the second time was too early to ask again, and no less an outage"
    assert current.ring.keys == (OLD,)
    vault.up = True
    vault.now += REREAD_SECONDS
    await current.reread()
    assert current.ring.keys == (NEW, OLD)


async def test_ring_that_is_the_same_stays_the_same_object() -> None:
    vault = FakeVault()
    current = vault.current()
    ring = current.ring
    vault.secrets = Secrets(signing_keys=KeyRing((OLD,)), client_secret=SecretStr("first"))
    vault.now += REREAD_SECONDS
    await current.reread()
    assert vault.reads == 1
    assert current.ring is ring


async def test_caller_waits_for_a_slow_vault_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "REREAD_DEADLINE_SECONDS", 0.05)
    vault = FakeVault()
    current = vault.current()
    vault.rotate()
    vault.answer.clear()
    vault.now += REREAD_SECONDS
    with pytest.raises(VaultError, match="no answer"):
        await current.reread()
    assert current.ring.keys == (OLD,)
    vault.answer.set()
    await current.reread()
    assert current.ring.keys == (NEW, OLD)
    assert vault.reads == 1


async def test_follow_reads_the_vault_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 0.01)
    monkeypatch.setattr(rotation, "REREAD_SECONDS", 0.0)
    vault = FakeVault()
    current = vault.current()
    vault.rotate()
    following = asyncio.create_task(current.follow())
    async with asyncio.timeout(60):
        while vault.reads < 3:  # noqa: ASYNC110 - counted by what is tested
            await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert current.ring.keys == (NEW, OLD)
