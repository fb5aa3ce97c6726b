"""The signing keys and the client secret, read from the Key Vault stand-in with the real client."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from base64 import b64encode
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ManagedIdentityCredential

from bench.scale import VAULT_READ
from entra_mcp.errors import VaultError
from entra_mcp.vault import client as vault_module
from entra_mcp.vault.client import CLIENT_SECRET, MAX_VERSIONS, SIGNING_KEY, Secrets, Vault
from entra_mcp.vault.keys import KEY_BYTES
from local.config import IDENTITY_CLIENT_ID
from local.vault.documents import Attributes, SecretSet
from local.vault.state import VaultState
from tests.support.standins import StandIns
from tests.support.vault import TokenCredential

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from azure.core.pipeline.transport import HttpRequest

GOOD_SECRET = "aBc8Q~0123456789012345678901234567890123"


def material(number: int) -> bytes:
    """A key that differs from others."""
    return bytes(range(number, number + KEY_BYTES))


def encoded(number: int) -> str:
    return b64encode(material(number)).decode()


class Shelf:
    """What the vault holds, written as it was at other times: the vault's own times have whole seconds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "vault.sqlite3"
        self._state = VaultState(self._file, clock=lambda: self.now)
        self.now = 1_700_000_000
        for name in (SIGNING_KEY, CLIENT_SECRET):
            self.remove(name)

    def put(self, name: str, value: str, *, day: int = 0, enabled: bool = True) -> str:
        """Adds a version made on that day; returns the version's name."""
        self.now = 1_700_000_000 + day * 86_400
        return self._state.set(name, SecretSet(value=value, attributes=Attributes(enabled=enabled))).version

    def remove(self, name: str) -> None:
        """Leaves no trace of it."""
        with closing(sqlite3.connect(self._file, isolation_level=None)) as database:
            database.execute("DELETE FROM secrets WHERE name = ?", (name,))

    def close(self) -> None:
        self._state.close()


@pytest.fixture(scope="module")
def vault_standins(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[StandIns]:
    with StandIns(folder=tmp_path_factory.mktemp("vault"), tls=certificates) as standins:
        yield standins


@pytest.fixture
def shelf(vault_standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """The stand-in's shelf, empty, and the environment in which the stand-in can be used."""
    for name, value in vault_standins.environment().items():
        monkeypatch.setenv(name, value)
    with closing(Shelf(vault_standins.folder / "vault")) as shelf:
        yield shelf


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Vault]:
    identity = ManagedIdentityCredential(client_id=IDENTITY_CLIENT_ID)
    async with identity as credential, Vault(url=url, credential=credential) as vault:
        yield vault


async def read(standins: StandIns, *, client_secret: bool = False) -> Secrets:
    async with opened(standins.vault_url) as vault:
        return await vault.read(client_secret=client_secret)


async def test_newest_signing_key_comes_first_in_whatever_order_they_are_listed(
    vault_standins: StandIns, shelf: Shelf
) -> None:
    versions = {day: shelf.put(SIGNING_KEY, encoded(day), day=day) for day in (20, 10, 30, 40)}
    ring = (await read(vault_standins)).signing_keys
    assert [key.material for key in ring.keys] == [material(day) for day in (40, 30, 20, 10)]
    assert [key.version for key in ring.keys] == [versions[day] for day in (40, 30, 20, 10)]
    assert ring.newest.material == material(40)


async def test_newest_of_the_same_second_is_the_one_that_the_vault_gives(
    vault_standins: StandIns, shelf: Shelf
) -> None:
    for number in range(6):
        shelf.put(SIGNING_KEY, encoded(number))
        assert (await read(vault_standins)).signing_keys.newest.material == material(number)


@pytest.mark.parametrize("disabled", [1, 2, 3])
async def test_disabled_signing_key_is_not_read(vault_standins: StandIns, shelf: Shelf, disabled: int) -> None:
    for day in (1, 2, 3):
        shelf.put(SIGNING_KEY, encoded(day), day=day, enabled=day != disabled)
    ring = (await read(vault_standins)).signing_keys
    assert [key.material for key in ring.keys] == [material(day) for day in (3, 2, 1) if day != disabled]


async def test_no_enabled_signing_key_is_named(vault_standins: StandIns, shelf: Shelf) -> None:
    shelf.put(SIGNING_KEY, encoded(1), enabled=False)
    with pytest.raises(VaultError, match="'jwt-signing-key' has no enabled version"):
        await read(vault_standins)


@pytest.mark.parametrize("surplus", [0, 2])
async def test_oldest_of_too_many_signing_keys_are_not_read(
    vault_standins: StandIns, shelf: Shelf, caplog: pytest.LogCaptureFixture, surplus: int
) -> None:
    count = MAX_VERSIONS + surplus
    for day in range(count):
        shelf.put(SIGNING_KEY, encoded(day), day=day)
    shelf.put(SIGNING_KEY, encoded(count), day=count, enabled=False)
    with caplog.at_level(logging.WARNING, "entra_mcp"):
        ring = (await read(vault_standins)).signing_keys
    assert [key.material for key in ring.keys] == [material(count - 1 - rank) for rank in range(MAX_VERSIONS)]
    warnings = [record.getMessage() for record in caplog.records]
    assert (
        (not warnings) if surplus == 0 else (f"{count} enabled versions" in warnings[0] and "oldest 2" in warnings[0])
    )


NO_KEYS = [
    "",
    "\n",
    "too short",
    "not base64!" * 4,
    b64encode(bytes(range(KEY_BYTES - 1))).decode(),
    b64encode(bytes(range(KEY_BYTES + 1))).decode(),
    b64encode(bytes(KEY_BYTES)).decode(),
    b64encode(b"secret" * 5 + b"se").decode(),
    bytes(range(KEY_BYTES)).hex(),
    "schlüssel" * 5,
]


@pytest.mark.parametrize("value", NO_KEYS)
async def test_newest_signing_key_that_is_none_is_an_error(vault_standins: StandIns, shelf: Shelf, value: str) -> None:
    shelf.put(SIGNING_KEY, encoded(1), day=1)
    bad = shelf.put(SIGNING_KEY, value, day=2)
    with pytest.raises(VaultError, match="jwt-signing-key") as caught:
        await read(vault_standins)
    message = str(caught.value)
    assert caught.value.component == "key_vault"
    assert bad in message
    assert "disable it" in message
    assert "openssl rand -base64 32" in message
    assert not value.strip() or value not in message


@pytest.mark.parametrize("value", NO_KEYS)
async def test_older_signing_key_that_is_none_is_skipped(
    vault_standins: StandIns, shelf: Shelf, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    shelf.put(SIGNING_KEY, encoded(1), day=1)
    bad = shelf.put(SIGNING_KEY, value, day=2)
    shelf.put(SIGNING_KEY, encoded(3), day=3)
    with caplog.at_level(logging.WARNING, "entra_mcp"):
        ring = (await read(vault_standins)).signing_keys
    assert [key.material for key in ring.keys] == [material(3), material(1)]
    (record,) = caplog.records
    assert (record.levelno, bad in record.getMessage()) == (logging.WARNING, True)
    assert not value.strip() or value not in record.getMessage()


async def test_bad_newest_signing_key_does_no_harm_once_it_is_disabled(vault_standins: StandIns, shelf: Shelf) -> None:
    shelf.put(SIGNING_KEY, encoded(1), day=1)
    shelf.put(SIGNING_KEY, "too short", day=2, enabled=False)
    ring = (await read(vault_standins)).signing_keys
    assert [key.material for key in ring.keys] == [material(1)]


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\n{}", " {} "])
async def test_white_space_around_a_value_is_no_part_of_it(vault_standins: StandIns, shelf: Shelf, around: str) -> None:
    shelf.put(SIGNING_KEY, around.format(encoded(1)))
    shelf.put(CLIENT_SECRET, around.format(GOOD_SECRET))
    secrets = await read(vault_standins, client_secret=True)
    assert secrets.signing_keys.newest.material == material(1)
    assert secrets.client_secret is not None
    assert secrets.client_secret.get_secret_value() == GOOD_SECRET


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "short",
        "<your client secret>",
        "@Microsoft.KeyVault(SecretUri=https://x)",
        f"{GOOD_SECRET}\n{GOOD_SECRET}",
    ],
)
async def test_client_secret_that_is_none_is_an_error(vault_standins: StandIns, shelf: Shelf, value: str) -> None:
    shelf.put(SIGNING_KEY, encoded(1))
    shelf.put(CLIENT_SECRET, value)
    with pytest.raises(VaultError, match=CLIENT_SECRET) as caught:
        await read(vault_standins, client_secret=True)
    assert not value.strip() or value not in str(caught.value)


async def test_newest_client_secret_is_read(vault_standins: StandIns, shelf: Shelf) -> None:
    shelf.put(SIGNING_KEY, encoded(1))
    shelf.put(CLIENT_SECRET, "x" * 40, day=1)
    shelf.put(CLIENT_SECRET, GOOD_SECRET, day=2)
    secrets = await read(vault_standins, client_secret=True)
    assert secrets.client_secret is not None
    assert secrets.client_secret.get_secret_value() == GOOD_SECRET
    assert GOOD_SECRET not in repr(secrets)
    assert encoded(1) not in repr(secrets)
    assert repr(material(1)) not in repr(secrets)


async def test_reading_takes_as_many_requests_as_the_scale_of_a_deployment_counts_with(
    vault_standins: StandIns, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(SIGNING_KEY, encoded(1))
    shelf.put(CLIENT_SECRET, GOOD_SECRET)
    served: list[str] = []
    send = AioHttpTransport.send

    async def counted(transport: object, request: HttpRequest, **options: object) -> object:
        # Without a token the vault answers with where to get one, and counts nothing.
        if "Authorization" in request.headers:
            served.append(request.url)
        return await send(transport, request, **options)

    monkeypatch.setattr(AioHttpTransport, "send", counted)
    await read(vault_standins, client_secret=True)
    assert len(served) == VAULT_READ, served


async def test_client_secret_is_left_alone_unless_asked_for(vault_standins: StandIns, shelf: Shelf) -> None:
    shelf.put(SIGNING_KEY, encoded(1))
    assert (await read(vault_standins)).client_secret is None


@pytest.mark.parametrize("name", [SIGNING_KEY, CLIENT_SECRET])
async def test_missing_secret_is_named(vault_standins: StandIns, shelf: Shelf, name: str) -> None:
    for present in {SIGNING_KEY, CLIENT_SECRET} - {name}:
        shelf.put(present, encoded(1))
    with pytest.raises(VaultError, match=f"'{name}' does not exist"):
        await read(vault_standins, client_secret=True)


@pytest.mark.parametrize("missing", [SIGNING_KEY, CLIENT_SECRET])
async def test_no_request_goes_on_after_a_failed_read(vault_standins: StandIns, shelf: Shelf, missing: str) -> None:
    shelf.put(({SIGNING_KEY, CLIENT_SECRET} - {missing}).pop(), encoded(1))
    async with opened(vault_standins.vault_url) as vault:
        with pytest.raises(VaultError):
            await vault.read(client_secret=True)
        # One that did would use connections after they are closed, and leave its own open.
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_forbidden_secret_is_named_with_the_role_that_is_missing(vault_standins: StandIns, shelf: Shelf) -> None:
    shelf.put(SIGNING_KEY, encoded(1))
    shelf.put(CLIENT_SECRET, GOOD_SECRET, enabled=False)
    with pytest.raises(VaultError, match=f"'{CLIENT_SECRET}'.*Key Vault Secrets User.*disabled"):
        await read(vault_standins, client_secret=True)


async def test_token_that_the_vault_refuses_is_an_error_that_names_the_secret(
    vault_standins: StandIns, shelf: Shelf
) -> None:
    token = vault_standins.token("user")
    async with Vault(url=vault_standins.vault_url, credential=TokenCredential(lambda: token)) as vault:
        with pytest.raises(VaultError, match="the vault refused it") as caught:
            await vault.read(client_secret=False)
    assert SIGNING_KEY in str(caught.value)
    assert token not in str(caught.value)


async def test_identity_that_gets_no_token_is_an_error_that_names_the_secret(
    vault_standins: StandIns, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(VaultError, match=SIGNING_KEY):
        await read(vault_standins)


def is_elsewhere(_: str) -> bool:
    return False


async def test_vault_elsewhere_that_asks_for_a_token_of_another_resource_gets_none(
    vault_standins: StandIns, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in's challenge names vault.azure.net, of which it is no host: on loopback alone that is let pass."""
    shelf.put(SIGNING_KEY, encoded(1))
    monkeypatch.setattr(vault_module, "is_loopback", is_elsewhere)
    credential = TokenCredential(lambda: "a token to collect")
    async with Vault(url=vault_standins.vault_url, credential=credential) as vault:
        # The client raises ValueError, which is not one of its own errors.
        with pytest.raises((ValueError, VaultError), match="challenge"):
            await vault.read(client_secret=False)
    assert credential.asked == 0


async def test_vault_that_hangs_is_given_up_on_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "DEADLINE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        async with Vault(url=url, credential=TokenCredential(lambda: "")) as vault:
            with pytest.raises(VaultError, match="did not answer within") as caught:
                await vault.read(client_secret=True)
    assert caught.value.component == "key_vault"


def test_deadline_leaves_room_within_the_start_up() -> None:
    assert 5 <= vault_module.DEADLINE_SECONDS <= 30


async def test_check_passes_while_the_vault_answers(vault_standins: StandIns, shelf: Shelf) -> None:
    shelf.put(SIGNING_KEY, encoded(1))
    async with opened(vault_standins.vault_url) as vault:
        await vault.check()
        shelf.remove(SIGNING_KEY)
        with pytest.raises(VaultError, match="does not exist"):
            await vault.check()


async def test_check_passes_when_only_the_newest_signing_key_is_disabled(
    vault_standins: StandIns, shelf: Shelf
) -> None:
    shelf.put(SIGNING_KEY, encoded(1), day=1)
    shelf.put(SIGNING_KEY, encoded(2), day=2, enabled=False)
    async with opened(vault_standins.vault_url) as vault:
        await vault.read(client_secret=False)
        await vault.check()
