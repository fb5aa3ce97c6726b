"""One-time claims: whoever is first to claim a code, a token or a message may use it, and nobody else ever.

Deleting what is used once does not decide who used it: a delete answers the same to everybody, and a response can be
lost. A claim is the insert of a row, which the service refuses when the row exists: one of many claims wins, whatever
instance it comes from (RFC 6749, 4.1.2; OAuth 2.1, 4.3.1).

    PartitionKey, RowKey   as in rows.py, of the kind and the value, in a layout of their own: only hashes are stored
    O  Binary              hash of the owner's token
    X  Int64               expires, milliseconds since 1970; the purge then deletes the row
"""

from __future__ import annotations

import math
import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from azure.data.tables import EdmType, EntityProperty

from entra_mcp.storage.exclusive import insert_exclusively
from entra_mcp.storage.rows import Address

if TYPE_CHECKING:
    from entra_mcp.storage.table import Table

LAYOUT = b"claim-1"


class Ledger:
    """Claims of any kind, on the table that also holds the key-value store."""

    def __init__(self, *, table: Table) -> None:
        self._table = table

    async def claim(self, kind: str, value: str, *, expires_in: float, owner: str | None = None) -> bool:
        """Returns True to the first claim of a value and False to every other, for `expires_in` seconds.

        Let a claim outlive what is claimed: afterwards the value can be claimed again.

        `owner` is a secret of the claimant. A claim by the same owner is the same claim and returns True again: after
        an error nobody knows whether the row was written, and the claimant may only find out by trying again. Without
        it each call is a claimant of its own; a lost response within one call is taken care of.

        Raises:
            StorageError: whether the claim holds is unknown; claim again with the same owner.
            ValueError: the claim would expire at once, which would let everybody have it.
        """
        if not 0 < expires_in < math.inf:
            raise ValueError("a claim needs a finite time to live")
        address = Address.of(kind, value, layout=LAYOUT)
        entity: dict[str, Any] = {
            "PartitionKey": address.partition,
            "RowKey": address.row,
            "O": sha256((owner or secrets.token_urlsafe()).encode("utf-8", "surrogatepass")).digest(),
            "X": EntityProperty(math.ceil((time.time() + expires_in) * 1000), EdmType.INT64),
        }
        return await insert_exclusively(self._table, entity, same=("O",))
