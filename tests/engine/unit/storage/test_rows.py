"""The layout of rows: addresses that reveal nothing, and entities that hold any value."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from key_value.aio.errors import CorruptedDataError, ValueTooLargeError

from entra_mcp.storage.rows import CHUNK_BYTES, MAX_VALUE_BYTES, Address, Row, milliseconds, pack, unpack

KEYS = ["", "a", "A", "a/b\\c#d?e", "H_x", "S_x", "\n\t\0", "😀", "\ud800", "x" * 100_000, "..", " a", "a "]


@pytest.mark.parametrize("key", KEYS)
def test_address_of_any_key_is_a_safe_one(key: str) -> None:
    address = Address.of(key, key)
    assert re.fullmatch(r"[0-9a-f]{16}\.[0-9a-f]", address.partition)
    assert re.fullmatch(r"[0-9a-f]{64}", address.row)


def test_address_differs_for_every_key_and_collection() -> None:
    addresses = {Address.of(collection, key) for collection in KEYS for key in KEYS}
    assert len(addresses) == len(KEYS) ** 2


def test_address_spreads_a_collection_over_sixteen_partitions() -> None:
    assert len({Address.of("codes", str(number)).partition for number in range(500)}) == 16


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, MAX_VALUE_BYTES])
@pytest.mark.parametrize("expires", [None, 1_800_000_000_000])
def test_unpack_returns_what_was_packed(size: int, expires: int | None) -> None:
    row = Row(sealed=os.urandom(size), created=1_700_000_000_001, expires=expires)
    assert unpack(pack(Address.of("c", "k"), row)) == row


def test_pack_of_a_value_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueTooLargeError):
        pack(Address.of("c", "k"), Row(sealed=bytes(MAX_VALUE_BYTES + 1), created=0, expires=None))


@pytest.mark.parametrize(
    "change",
    [{"C": 5}, {"X": 5}, {"V0": "text"}, {"V0": None}, {"V1": "text"}, {"C": None}],
    ids=str,
)
def test_unpack_of_a_damaged_row_is_refused(change: dict[str, object]) -> None:
    entity = pack(Address.of("c", "k"), Row(sealed=b"x", created=1, expires=2)) | change
    with pytest.raises(CorruptedDataError):
        unpack(entity)


def test_unpack_of_a_foreign_row_is_refused() -> None:
    with pytest.raises(CorruptedDataError):
        unpack({"PartitionKey": "p", "RowKey": "r"})


def test_milliseconds_are_rounded_up() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert milliseconds(moment + timedelta(microseconds=1)) == milliseconds(moment) + 1
