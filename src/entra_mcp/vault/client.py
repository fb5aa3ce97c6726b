"""Key Vault: where the JWT signing key and the Entra client secret come from.

The values are kept in memory for the life of the process. The signing key is read in all its enabled versions, because
rows that an older version encrypted have to stay readable after a rotation.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets.aio import SecretClient
from pydantic import SecretStr

from entra_mcp.errors import VaultError, first_line
from entra_mcp.urls import is_loopback
from entra_mcp.vault.keys import KEY_BYTES, KeyRing, RootKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence
    from datetime import datetime

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.keyvault.secrets import KeyVaultSecret, SecretProperties

SIGNING_KEY = "jwt-signing-key"
CLIENT_SECRET = "entra-client-secret"  # noqa: S105 - the name of the secret in the vault

DEADLINE_SECONDS = 15.0
"""For all of a start-up's requests together; a cold start that takes longer is retried by the next request."""

MIN_SECRET_CHARACTERS = 16
"""Shorter values are placeholders: the secrets that Entra ID creates have 40 characters, without spaces or brackets."""

MIN_DIFFERENT_BYTES = KEY_BYTES // 4
"""Fewer different bytes than this among 32 are no chance, but somebody's filler."""

MAX_VERSIONS = 8
"""Enabled versions of the signing key that are read, newest first: far more than a yearly rotation leaves enabled."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the vault holds for this server."""

    signing_keys: KeyRing
    client_secret: SecretStr | None


class Vault:
    """Reads the server's secrets. An async context manager: closing it closes its connections."""

    def __init__(self, *, url: str, credential: AsyncTokenCredential) -> None:
        # The SDK checks that the vault's challenge names a parent domain of the vault, which a stand-in on loopback
        # cannot satisfy. Off loopback the check stays on: it keeps a forged vault from collecting tokens.
        self._client = SecretClient(
            vault_url=url,
            credential=credential,
            verify_challenge_resource=not is_loopback(url),
            retry_total=3,
            retry_backoff_factor=0.2,
            connection_timeout=3,
            read_timeout=5,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def read(self, *, client_secret: bool) -> Secrets:
        """Reads the signing keys and, if asked for, the client secret, in parallel.

        Raises:
            VaultError: a secret is missing, disabled, malformed or out of reach; the message names the secret.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                keys, secret = await _both(self._signing_keys(), self._client_secret() if client_secret else _nothing())
        except TimeoutError:
            raise VaultError(f"the vault did not answer within {DEADLINE_SECONDS:.0f} s") from None
        return Secrets(signing_keys=keys, client_secret=secret)

    async def check(self) -> None:
        """Asks the vault which versions the signing key has.

        Raises:
            VaultError: the vault is out of reach or refuses, or no version is enabled.
        """
        await self._enabled_versions(SIGNING_KEY)

    async def _signing_keys(self) -> KeyRing:
        current, enabled = await _both(self._current_version(SIGNING_KEY), self._enabled_versions(SIGNING_KEY))
        # The times have whole seconds: of two versions made within one, only the vault knows which is newer.
        enabled.sort(
            key=lambda properties: (properties.version == current, _moment(properties.created_on)), reverse=True
        )
        if len(enabled) > MAX_VERSIONS:
            logger.warning(
                "Secret %r has %d enabled versions; the oldest %d are not read. Disable those no longer needed.",
                SIGNING_KEY,
                len(enabled),
                len(enabled) - MAX_VERSIONS,
            )
        return _key_ring(await _all([self._get(SIGNING_KEY, each.version) for each in enabled[:MAX_VERSIONS]]))

    async def _current_version(self, name: str) -> str | None:
        """The version that the vault gives when none is named; None when that one is disabled."""
        with _named(name):
            try:
                return (await self._client.get_secret(name)).properties.version
            except HttpResponseError as error:
                if error.status_code == HTTPStatus.FORBIDDEN:
                    return None
                raise

    async def _enabled_versions(self, name: str) -> list[SecretProperties]:
        with _named(name):
            found: list[SecretProperties] = [
                properties
                async for properties in self._client.list_properties_of_secret_versions(name)
                if properties.enabled and properties.version
            ]
        if not found:
            raise VaultError(f"secret {name!r} has no enabled version")
        return found

    async def _client_secret(self) -> SecretStr:
        value = ((await self._get(CLIENT_SECRET)).value or "").strip()
        if not value.isprintable() or " " in value or "(" in value or len(value) < MIN_SECRET_CHARACTERS:
            raise VaultError(f"secret {CLIENT_SECRET!r} does not look like a client secret of Entra ID")
        return SecretStr(value)

    async def _get(self, name: str, version: str | None = None) -> KeyVaultSecret:
        with _named(name):
            return await self._client.get_secret(name, version)


async def _nothing() -> None:
    return None


async def _both[A, B](first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Awaits both to their end, so that no request goes on after the client is closed, then raises the first error."""
    a, b = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(a, BaseException):
        raise a
    if isinstance(b, BaseException):
        raise b
    return a, b


async def _all[T](awaitables: Sequence[Awaitable[T]]) -> list[T]:
    """As `_both`, for any number."""
    results: list[T] = []
    for outcome in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


@contextmanager
def _named(name: str) -> Generator[None]:
    """Turns what the SDK raises into a `VaultError` that names the secret."""
    try:
        yield
    except AzureError as error:
        raise _vault_error(name, error) from error
    except ValueError as error:
        # The SDK's guard against a vault that asks for a token meant for somebody else.
        raise VaultError(f"reading secret {name!r} was broken off: {first_line(error)}") from error


def _key_ring(secrets: Sequence[KeyVaultSecret]) -> KeyRing:
    """The newest version has to be a good key; an older one that is not cannot have encrypted anything."""
    newest, *older = secrets
    first = _root_key(newest)
    if first is None:
        raise VaultError(
            f"version {newest.properties.version} of secret {SIGNING_KEY!r}, the newest, is not a key; "
            f"disable it, or add {KEY_BYTES} random bytes in base64 (`openssl rand -base64 {KEY_BYTES}`)"
        )
    keys = [first]
    for secret in older:
        key = _root_key(secret)
        if key is None:
            logger.warning("Version %s of secret %r is no key; disable it.", secret.properties.version, SIGNING_KEY)
        else:
            keys.append(key)
    return KeyRing(tuple(keys))


def _root_key(secret: KeyVaultSecret) -> RootKey | None:
    try:
        material = b64decode((secret.value or "").strip(), validate=True)
    except ValueError:
        return None
    if len(material) != KEY_BYTES or len(set(material)) < MIN_DIFFERENT_BYTES:
        return None
    # A version that was enabled again is as new to the instances as one that was made just now.
    known_since = max(_moment(secret.properties.created_on), _moment(secret.properties.updated_on))
    return RootKey(version=secret.properties.version or "", material=material, created=known_since)


def _moment(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _vault_error(name: str, error: AzureError) -> VaultError:
    match error:
        case ResourceNotFoundError():
            return VaultError(f"secret {name!r} does not exist")
        case ClientAuthenticationError():
            return VaultError(f"no token to read secret {name!r} with, or the vault refused it: {first_line(error)}")
        case HttpResponseError(status_code=HTTPStatus.FORBIDDEN):
            return VaultError(
                f"the identity may not read secret {name!r} (role Key Vault Secrets User), or it is disabled"
            )
        case _:
            return VaultError(f"reading secret {name!r} failed: {type(error).__name__}: {first_line(error)}")
