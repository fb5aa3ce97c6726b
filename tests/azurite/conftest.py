"""A table of its own for each test, in an Azurite that the tests of one worker share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from entra_mcp.keys import KeyRing, RootKey
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def table(azurite: str) -> AsyncIterator[Table]:
    async with Table.from_connection_string(azurite, name=f"T{uuid4().hex}") as table:
        await table.create()
        yield table


@pytest.fixture
def cipher() -> RowCipher:
    return RowCipher(KeyRing((RootKey(version="1", material=os.urandom(32)),)))


@pytest.fixture
def store(table: Table, cipher: RowCipher) -> TableStore:
    return TableStore(table=table, cipher=cipher)
