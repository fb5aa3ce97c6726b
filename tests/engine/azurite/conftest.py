"""A table of its own for each test, in an Azurite that tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.fault_proxy import fault_proxy
from tests.support.settings import working_settings
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entra_mcp.tasks.limits import Limits
    from tests.support.background.instance import Background
    from tests.support.fault_proxy import FaultProxy


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


@pytest.fixture
async def faulty(azurite: str, cipher: RowCipher) -> AsyncIterator[tuple[FaultProxy, TableStore, Table]]:
    """A proxy that injects faults and counts requests, and a store whose table is reached through it."""
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=f"T{uuid4().hex}") as table,
    ):
        await table.create()
        yield proxy, TableStore(table=table, cipher=cipher), table


@pytest.fixture
def limits() -> Limits:
    """Of the tasks; a test that needs other ones is parametrized with them."""
    from tests.support.background.instance import FAST

    return FAST


@pytest.fixture
async def tasks(azurite: str, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> AsyncIterator[Background]:
    """An instance with background tasks, whose time a test moves."""
    # aiohttp reads the certificates when it is imported, and this file is imported before they are there.
    from tests.support.background.components import work
    from tests.support.background.instance import background

    work.reset()
    async with in_own_task(background(working_settings(monkeypatch), azurite, limits=limits)) as found:
        yield found
