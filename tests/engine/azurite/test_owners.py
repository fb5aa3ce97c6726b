"""Marks of owners: they find all rows of one person, and show nothing to who has no key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from entra_mcp.ownership import full_name, person_of
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.owners import OwnerMarks, delete_owned
from entra_mcp.storage.store import TableStore
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.purging import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra_mcp.storage.table import Table

RING = KeyRing((RootKey(version="1", material=bytes(range(32))),))
EVERYTHING = ("PartitionKey", "RowKey", "U", "V0")
OTHER_RING = KeyRing((RootKey(version="2", material=os.urandom(32)),))


def owner_of(collection: str, value: Mapping[str, Any]) -> str | None:
    return value.get("owner") if collection.startswith("owned") else None


@pytest.fixture
def owned(table: Table) -> TableStore:
    return TableStore(table=table, cipher=RowCipher(RING), marks=OwnerMarks(RING), owner_of=owner_of)


async def delete(table: Table, owner: str, ring: KeyRing = RING) -> int:
    collections = ("owned1", "owned2")
    found = [step async for step in delete_owned(table, marks=OwnerMarks(ring), owner=owner, collections=collections)]
    return found[-1][1] if found else 0


async def test_rows_of_one_owner_are_deleted_and_nobody_elses(owned: TableStore, table: Table) -> None:
    for number in range(30):
        await owned.put(f"a{number}", {"owner": "ann"}, collection="owned1")
        await owned.put(f"b{number}", {"owner": "ben"}, collection="owned1")
    await owned.put("a", {"owner": "ann"}, collection="owned2")
    await owned.put("c", {"owner": "ann"}, collection="unowned")
    await owned.put("d", {}, collection="owned1")
    assert await delete(table, "ann") == 31
    assert await count(table) == 32
    assert await owned.get("b7", collection="owned1") == {"owner": "ben"}
    assert await delete(table, "ann") == 0


async def test_marks_outlive_a_rewrite_under_a_newer_key(owned: TableStore, table: Table) -> None:
    await owned.put("a", {"owner": "ann"}, collection="owned1", ttl=60)
    both = KeyRing((*OTHER_RING.keys, *RING.keys))
    renewing = TableStore(table=table, cipher=RowCipher(both), marks=OwnerMarks(both), owner_of=owner_of)
    assert await renewing.get("a", collection="owned1") == {"owner": "ann"}
    assert await delete(table, "ann", both) == 1


async def test_mark_tells_nothing_without_the_key(owned: TableStore, table: Table) -> None:
    owners = ["ann", "ann", "ben"]
    for number, owner in enumerate(owners):
        await owned.put(f"k{number}", {"owner": owner}, collection="owned1")
    rows = [row async for page in table.query("PartitionKey ge ''", select=EVERYTHING) for row in page]
    marks = [row["U"] for row in rows]
    assert len({mark[:16] for mark in marks}) == len({mark[16:] for mark in marks}) == len(owners)
    assert {len(mark) for mark in marks} == {32}
    assert not any(OwnerMarks(OTHER_RING).matches(mark, "ann") for mark in marks)
    assert await delete(table, "ann", OTHER_RING) == 0


async def test_who_may_delete_cannot_read(owned: TableStore, table: Table) -> None:
    """The vault's key finds the rows; their own keys come from names that are stored nowhere."""
    await owned.put("secret-name", {"owner": "ann", "token": "T"}, collection="owned1")
    (row,) = [row async for page in table.query("PartitionKey ge ''", select=EVERYTHING) for row in page]
    cipher = RowCipher(RING)
    for guess in (row["RowKey"], row["PartitionKey"], "ann", ""):
        with pytest.raises(Exception, match="altered, or belongs to another entry"):
            cipher.open(row["V0"], collection="owned1", key=guess, expires=None)
    assert await delete(table, "ann") == 1


@pytest.mark.parametrize("mark", [None, "text", b"", b"x" * 31, b"x" * 33, 7])
def test_property_that_is_no_mark_matches_nobody(mark: object) -> None:
    assert not OwnerMarks(RING).matches(mark, "ann")


def test_full_name_is_of_one_pair_alone_and_has_the_person() -> None:
    pairs = [("https://i/a", "b"), ("https://i", "a/b"), ("https://i", "B"), ("https://i", "b"), ("", "Ä"), ("", "")]
    names = {full_name(*pair) for pair in pairs}
    assert len(names) == len(pairs)
    assert [person_of(full_name(*pair)) for pair in pairs] == ["b", "a/b", "b", "b", "ä", ""]
