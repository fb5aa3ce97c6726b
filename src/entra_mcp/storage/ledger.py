"""What may be used once, and what came of it.

Deleting what is used once does not decide who used it: a delete answers the same to everybody, and a response can be
lost. A lease is the insert of a row, which the service refuses when the row exists: one of many who ask for it wins,
whatever instance it runs on (RFC 6749 section 4.1.2; OAuth 2.1 section 4.3.1).

A holder that dies must not take the right to use with it. So a lease runs out. Its holder settles it with what came of
the use, on the condition that nobody has taken it over: that is the redemption. Each instance
measures leases with its own clock: one that is ahead takes over early, and then the first holder has to try again.

    PartitionKey, RowKey   as in rows.py, of the kind and the value, in a layout of their own: only hashes are stored
    V0, C, X               as in rows.py; the value is sealed, so that only who knows what was used can read it
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from key_value.aio.errors import CorruptedDataError, DecryptionError

from entra_mcp.storage.rows import Address, Row, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entra_mcp.storage.encryption import RowCipher
    from entra_mcp.storage.table import Table

LAYOUT = b"claim-2"

PAUSES = (0.05, 0.1, 0.25)
"""Seconds between two looks at a lease that somebody else holds; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use something now: settle it, or release it."""

    id: str
    kind: str
    value: str
    expires: int
    etag: str

    @property
    def address(self) -> Address:
        return _address(self.kind, self.value)


@dataclass(frozen=True, slots=True)
class Redemption:
    """A use that was settled: what came of it, and how many seconds ago."""

    outcome: Mapping[str, Any]
    age: float


@dataclass(frozen=True, slots=True)
class _Found:
    """What the row of a value says: who has or had the lease, until when, in seconds since 1970, or what came of it."""

    etag: str
    holder: str = ""
    until: float = 0.0
    redemption: Redemption | None = None


class Ledger:
    """Leases and redemptions of any kind, on the table that also holds the key-value store."""

    def __init__(self, *, table: Table, cipher: RowCipher, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._cipher = cipher
        self._clock = clock

    async def acquire(self, kind: str, value: str, *, seconds: float, expires_in: float) -> Lease | Redemption:
        """Returns a lease to the first who wants to use the value, and the redemption to all who come after it.

        While somebody else holds the lease this waits, until it is settled, released, or its `seconds` are over. Then
        one of those who wait gets it. Put a deadline around it. Let the row, which lives for `expires_in` seconds,
        outlive what is used: afterwards the value can be used again.

        Raises:
            StorageError: nothing is known; try again.
            ValueError: the row would expire at once, which would let everybody have the lease.
        """
        if not 0 < expires_in < math.inf:
            raise ValueError("a lease needs a finite time to live")
        expires = math.ceil((self._clock() + expires_in) * 1000)
        holder = secrets.token_urlsafe()
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            state = {"claim": holder, "until": self._clock() + seconds}
            entity = self._entity(kind, value, state, expires=expires)
            etag = await self._table.insert(entity)
            if etag is not None:
                return Lease(holder, kind, value, expires, etag)
            found = await self._found(kind, value)
            if found is None:
                continue
            if found.redemption is not None:
                return found.redemption
            if found.holder == holder:
                # The answer to a write of this very call was lost.
                return Lease(holder, kind, value, expires, found.etag)
            if found.until <= self._clock():
                etag = await self._table.replace_unchanged(entity, etag=found.etag)
                if etag is not None:
                    return Lease(holder, kind, value, expires, etag)
            await asyncio.sleep(pause)
        raise AssertionError("the pauses do not end")

    async def settle(self, lease: Lease, outcome: Mapping[str, Any]) -> bool:
        """Writes down what came of the use; returns False when the lease had run out and somebody else has it.

        Raises:
            StorageError: whether it was written down is not known.
        """
        state = {"claim": lease.id, "at": self._clock(), "outcome": dict(outcome)}
        entity = self._entity(lease.kind, lease.value, state, expires=lease.expires)
        etag = lease.etag
        while await self._table.replace_unchanged(entity, etag=etag) is None:
            found = await self._found(lease.kind, lease.value)
            if found is None or found.holder != lease.id:
                return False
            if found.redemption is not None:
                return True
            # Renewed since.
            etag = found.etag
        return True

    async def renew(self, lease: Lease, *, seconds: float) -> None:
        """Prolongs the lease, to so many seconds from now, if nobody has taken it over.

        Raises:
            StorageError: whether it was prolonged is not known.
        """
        found = await self._found(lease.kind, lease.value)
        if found is not None and found.redemption is None and found.holder == lease.id:
            state = {"claim": lease.id, "until": self._clock() + seconds}
            entity = self._entity(lease.kind, lease.value, state, expires=lease.expires)
            await self._table.replace_unchanged(entity, etag=found.etag)

    async def release(self, lease: Lease) -> bool:
        """Gives the lease back unused; returns False, and changes nothing, when its settlement was written down.

        Others may have read a settlement already, so it is final. One that is still on its way finds its row gone.
        """
        while True:
            found = await self._found(lease.kind, lease.value)
            if found is None or found.holder != lease.id:
                return True
            if found.redemption is not None:
                return False
            if await self._table.delete(lease.address.partition, lease.address.row, etag=found.etag):
                return True

    async def look_up(self, kind: str, value: str) -> Redemption | None:
        """Returns the redemption of a value; None when there was none, or it has not been settled."""
        found = await self._found(kind, value)
        return None if found is None else found.redemption

    async def _found(self, kind: str, value: str) -> _Found | None:
        address = _address(kind, value)
        entity = await self._table.read(address.partition, address.row)
        if entity is None:
            return None
        etag = entity.metadata["etag"]
        try:
            row = unpack(entity)
            if row.expires is not None and row.expires <= self._clock() * 1000:
                return _Found(etag)
            plain = await self._cipher.unseal(row.sealed, collection=_name(kind), key=value, expires=row.expires)
        except (CorruptedDataError, DecryptionError):
            # Nobody may use what may have been used: its owner starts again.
            return _Found(etag, redemption=Redemption({}, math.inf))
        state = json.loads(plain)
        if "outcome" in state:
            redemption = Redemption(state["outcome"], self._clock() - state["at"])
            return _Found(etag, holder=state["claim"], redemption=redemption)
        return _Found(etag, holder=state["claim"], until=state["until"])

    def _entity(self, kind: str, value: str, state: Mapping[str, Any], *, expires: int) -> dict[str, Any]:
        plain = json.dumps(state, separators=(",", ":")).encode()
        sealed = self._cipher.seal(plain, collection=_name(kind), key=value, expires=expires)
        return pack(_address(kind, value), Row(sealed=sealed, created=int(self._clock() * 1000), expires=expires))


def _address(kind: str, value: str) -> Address:
    return Address.of(kind, value, layout=LAYOUT)


def _name(kind: str) -> str:
    """What the sealed value is bound to, different from every collection of the store."""
    return f"ledger/{kind}"
