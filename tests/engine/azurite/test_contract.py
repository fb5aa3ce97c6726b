"""The contract of every `AsyncKeyValue` store, as py-key-value tests its own, plus names that stores stumble over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from key_value.aio.errors import InvalidTTLError, SerializationError
from key_value.aio.protocols.key_value import AsyncKeyValueProtocol

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore

NAMES = [
    "",
    " ",
    "a",
    "A",
    "..",
    "a/b\\c#d?e%f",
    "H_x",
    "S_x",
    "'; --",
    "\n\t\0\x7f",
    "é",
    "e\u0301",
    "😀" * 300,
    "\ud800",
    "\udfff\ud800",
    "x" * 1024,
    "y" * 100_000,
]
MILLISECOND = 0.001
"""Rows keep their times in whole ones."""
JSON: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, 1e300, float("inf")),
    *("", "Zoë 😀 \ud800 \0", "x" * 200_000),
    *([], [1, [2]], {}, {"a": {"b": [None]}}),
]


def test_store_is_an_async_key_value(store: TableStore) -> None:
    assert isinstance(store, AsyncKeyValueProtocol)


async def test_get_of_nothing_is_none(store: TableStore) -> None:
    assert await store.get("k", collection="c") is None
    assert await store.get("k") is None
    assert await store.ttl("k", collection="c") == (None, None)


@pytest.mark.parametrize("value", JSON, ids=range(len(JSON)))
async def test_any_json_comes_back_as_it_was(store: TableStore, value: object) -> None:
    await store.put("k", {"value": value}, collection="c")
    assert await store.get("k", collection="c") == {"value": value}


async def test_a_value_that_was_put_twice_is_the_later_one(store: TableStore) -> None:
    for number in range(5):
        await store.put("k", {"n": number}, collection="c")
    assert await store.get("k", collection="c") == {"n": 4}


async def test_a_value_is_a_copy(store: TableStore) -> None:
    value: dict[str, Any] = {"list": [1]}
    await store.put("k", value, collection="c")
    value["list"].append(2)
    first = await store.get("k", collection="c") or {}
    assert first == {"list": [1]}
    first["list"].append(3)
    assert await store.get("k", collection="c") == {"list": [1]}


async def test_every_name_is_a_key_of_its_own(store: TableStore) -> None:
    await store.put_many(NAMES, [{"name": name} for name in NAMES], collection="c")
    assert await store.get_many(NAMES, collection="c") == [{"name": name} for name in NAMES]
    assert await store.delete_many(NAMES, collection="c") == len(NAMES)


async def test_every_name_is_a_collection_of_its_own(store: TableStore) -> None:
    # The empty collection means the default one, as in every store of py-key-value.
    names = [name for name in NAMES if name]
    await asyncio.gather(*(store.put("k", {"in": name}, collection=name) for name in names))
    for name in names:
        assert await store.get("k", collection=name) == {"in": name}
        assert await store.delete("k", collection=name) is True


async def test_names_do_not_run_into_each_other(store: TableStore) -> None:
    await store.put("b/c", {"n": 1}, collection="a")
    await store.put("c", {"n": 2}, collection="a/b")
    assert await store.get("b/c", collection="a") == {"n": 1}
    assert await store.get("c", collection="a/b") == {"n": 2}


async def test_collections_are_separate(store: TableStore) -> None:
    await store.put("k", {"n": 1}, collection="one")
    await store.put("k", {"n": 2}, collection="two")
    assert await store.delete("k", collection="one") is True
    assert await store.get("k", collection="two") == {"n": 2}
    assert await store.get("k") is None


async def test_empty_collection_is_the_default_one(store: TableStore) -> None:
    await store.put("k", {"n": 1}, collection="")
    assert await store.get("k") == {"n": 1}


@pytest.mark.parametrize("ttl", [0.3, 1, 100, 10**6, 3.5 * 10**9])
async def test_ttl_counts_down_from_what_was_given(store: TableStore, ttl: float) -> None:
    began = time.time()
    await store.put("k", {"a": 1}, collection="c", ttl=ttl)
    value, left = await store.ttl("k", collection="c")
    passed = time.time() - began
    assert value == {"a": 1}
    assert left is not None
    assert ttl - passed - MILLISECOND <= left <= ttl + MILLISECOND


async def test_value_without_a_ttl_has_none(store: TableStore) -> None:
    await store.put("k", {}, collection="c")
    assert await store.ttl("k", collection="c") == ({}, None)


async def test_value_never_expires_early(store: TableStore) -> None:
    started = time.time()
    await store.put("k", {}, collection="c", ttl=0.3)
    while time.time() < started + 0.3:
        assert await store.get("k", collection="c") is not None or time.time() >= started + 0.3
    await asyncio.sleep(0.05)
    assert await store.get("k", collection="c") is None
    assert await store.ttl("k", collection="c") == (None, None)


async def test_put_without_a_ttl_takes_away_the_old_one(store: TableStore) -> None:
    await store.put("k", {}, collection="c", ttl=0.05)
    await store.put("k", {}, collection="c")
    await asyncio.sleep(0.1)
    assert await store.ttl("k", collection="c") == ({}, None)


@pytest.mark.parametrize("ttl", [0, -1, -0.1, True])
async def test_put_with_a_useless_ttl_is_refused(store: TableStore, ttl: float) -> None:
    with pytest.raises(InvalidTTLError):
        await store.put("k", {}, collection="c", ttl=ttl)
    with pytest.raises(InvalidTTLError):
        await store.put_many(["k"], [{}], collection="c", ttl=ttl)
    assert await store.get("k", collection="c") is None


@pytest.mark.parametrize("value", [{"a": object()}, {"a": {1}}, {"a": b"bytes"}], ids=["object", "set", "bytes"])
async def test_what_is_not_json_is_refused(store: TableStore, value: dict[str, Any]) -> None:
    with pytest.raises(SerializationError):
        await store.put("k", value, collection="c")
    assert await store.get("k", collection="c") is None


async def test_value_that_contains_itself_is_refused(store: TableStore) -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(SerializationError):
        await store.put("k", value, collection="c")


@pytest.mark.parametrize("count", [0, 1, 2, 20])
async def test_bulk_operations_of_any_number(store: TableStore, count: int) -> None:
    keys = [f"k{number}" for number in range(count)]
    values = [{"n": number} for number in range(count)]
    await store.put_many(keys, values, collection="c", ttl=100)
    assert await store.get_many(keys, collection="c") == values
    assert all(ttl and 90 < ttl <= 100.001 for _, ttl in await store.ttl_many(keys, collection="c"))
    assert await store.delete_many(keys, collection="c") == count
    assert await store.delete_many(keys, collection="c") == 0
    assert await store.get_many(keys, collection="c") == [None] * count


async def test_bulk_operations_with_repeated_keys(store: TableStore) -> None:
    await store.put_many(["a", "b", "a"], [{"n": 1}, {"n": 2}, {"n": 3}], collection="c")
    assert await store.get_many(["a", "a", "x", "b"], collection="c") == [{"n": 3}, {"n": 3}, None, {"n": 2}]
    assert await store.delete_many(["a", "a", "b", "x"], collection="c") == 2


async def test_bulk_put_with_too_few_values_is_refused(store: TableStore) -> None:
    with pytest.raises(ValueError, match="different number"):
        await store.put_many(["a", "b"], [{}], collection="c")
    assert await store.get("a", collection="c") is None


async def test_bulk_delete_of_some_missing_keys_counts_the_others(store: TableStore) -> None:
    keys = [f"k{number}" for number in range(100)]
    await store.put_many(keys[::3], [{"a": 1}] * 34, collection="c")
    assert await store.delete_many(keys, collection="c") == 34


async def test_many_callers_at_once_do_not_disturb_each_other(store: TableStore) -> None:
    async def caller(number: int) -> bool:
        key = f"k{number}"
        await store.put(key, {"n": number}, collection="c", ttl=60)
        found = await store.get(key, collection="c")
        return found == {"n": number} and await store.delete(key, collection="c")

    assert all(await asyncio.gather(*(caller(number) for number in range(60))))


async def test_many_writers_of_one_key_leave_one_whole_value(store: TableStore) -> None:
    values = [{"n": number, "text": f"{number}" * 2_000} for number in range(30)]
    await asyncio.gather(*(store.put("k", value, collection="c") for value in values))
    assert await store.get("k", collection="c") in values
