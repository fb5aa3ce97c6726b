"""The ring of root keys, and the one place that derives every other key from them.

A root key is a version of the vault's `jwt-signing-key`. The newest one signs and encrypts, but not in its first
minutes, until every instance has read it; all of them verify and decrypt, so that a rotation signs nobody out. The root
key itself signs this server's tokens. Every other use gets a key of its own by HKDF-SHA256 (RFC 5869) under its own
label: whoever learns one derived key learns nothing of the others, nor of the root.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
KEY_ID_BYTES = 8

ACTIVATION_SECONDS = 300.0
"""How old a key has to be to sign: by then every instance has read it, so none meets a key that it does not know."""


class Purpose(StrEnum):
    """What a derived key is for; the value is its HKDF label, so renaming one gives a different key."""

    STORAGE = "entra-mcp/storage/v1"
    OWNERS = "entra-mcp/owners/v1"
    CONSENT_COOKIES = "entra-mcp/consent-cookies/v1"
    REQUEST_STATE = "entra-mcp/request-state/v1"
    KEY_ID = "entra-mcp/key-id/v1"


@dataclass(frozen=True, slots=True)
class RootKey:
    """32 secret bytes, the vault's name for this version, and when it was made or enabled, in seconds since 1970."""

    version: str
    material: bytes = field(repr=False)
    created: float = 0.0

    def __post_init__(self) -> None:
        if len(self.material) != KEY_BYTES:
            raise ValueError(f"a root key has {KEY_BYTES} bytes, not {len(self.material)}")

    def derive(self, use: Purpose, *, length: int = KEY_BYTES) -> bytes:
        """Returns `length` bytes that depend on this key and the use alone."""
        return _derive(self.material, use, length)

    @property
    def key_id(self) -> bytes:
        """8 bytes that name this key and reveal nothing of it; derived, so it is the same wherever the key is."""
        return self.derive(Purpose.KEY_ID, length=KEY_ID_BYTES)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Root keys, newest first; never empty."""

    keys: tuple[RootKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("a key ring needs at least one key")

    @property
    def newest(self) -> RootKey:
        """The key that signs now: the newest that is old enough, or the oldest when none is."""
        old_enough = time.time() - ACTIVATION_SECONDS
        return next((key for key in self.keys if key.created <= old_enough), self.keys[-1])

    def derive(self, use: Purpose) -> list[bytes]:
        """Returns the derived key of every root key: first the one that signs now, then the others, newest first."""
        first = self.newest
        return [key.derive(use) for key in (first, *(key for key in self.keys if key is not first))]

    @property
    def ring(self) -> Self:
        return self

    async def reread(self) -> None:
        """A ring by itself does not change; see `KeySource`."""


@lru_cache(maxsize=128)
def _derive(material: bytes, use: Purpose, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=use.encode()).derive(material)


class KeySource(Protocol):
    """Where the ring comes from that is valid now."""

    @property
    def ring(self) -> KeyRing: ...

    async def reread(self) -> None:
        """Looks for versions that are not in the ring; call it when something names a key that the ring lacks.

        Raises:
            DependencyError: whether there are any cannot be found out now.
        """
        ...
