"""Exactly one winner, however many callers there are, in one process or in two."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from key_value.aio.errors import InvalidTTLError

from entra_mcp.storage.table import Table
from tests.support.contenders import contend, open_store

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore


ROUNDS = 8


@pytest.mark.parametrize("operation", ["claim", "put_if_absent", "take"])
async def test_one_of_fifty_callers_on_two_processes_wins_every_round(azurite: str, operation: str) -> None:
    name = f"T{uuid4().hex}"
    async with Table.from_connection_string(azurite, name=name) as table:
        await table.create()
        if operation == "take":
            keys = [f"k{number}" for number in range(ROUNDS)]
            await open_store(table).put_many(keys, [{"a": 1}] * ROUNDS, collection="c")
    wins = await asyncio.to_thread(contend, operation, connection_string=azurite, table=name, rounds=ROUNDS)
    assert wins == [1] * ROUNDS


async def test_put_if_absent_keeps_the_value_that_is_there(store: TableStore) -> None:
    assert await store.put_if_absent("k", {"n": 1}, collection="c") is True
    assert await store.put_if_absent("k", {"n": 2}, collection="c") is False
    assert await store.put_if_absent("k", {"n": 3}, collection="other") is True
    assert await store.ttl("k", collection="c") == ({"n": 1}, None)


async def test_put_if_absent_takes_the_place_of_an_expired_value_once(store: TableStore) -> None:
    await store.put("k", {"old": True}, collection="c", ttl=0.01)
    await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(
        *(store.put_if_absent("k", {"n": number}, collection="c", ttl=60) for number in range(20))
    )
    assert sum(outcomes) == 1
    value, ttl = await store.ttl("k", collection="c")
    assert value == {"n": outcomes.index(True)}
    assert ttl is not None
    assert 55 < ttl <= 60.001


async def test_put_if_absent_after_a_delete_puts_again(store: TableStore) -> None:
    assert await store.put_if_absent("k", {}, collection="c") is True
    await store.delete("k", collection="c")
    assert await store.put_if_absent("k", {}, collection="c") is True


@pytest.mark.parametrize("ttl", [0, -1, True, float("nan"), float("inf"), 1e300, "soon"])
async def test_put_if_absent_with_a_useless_ttl_is_refused(store: TableStore, ttl: float) -> None:
    with pytest.raises(InvalidTTLError):
        await store.put_if_absent("k", {}, collection="c", ttl=ttl)
    assert await store.get("k", collection="c") is None


async def test_take_returns_the_value_once(store: TableStore) -> None:
    await store.put("k", {"a": 1}, collection="c", ttl=60)
    assert await store.take("k", collection="c") == {"a": 1}
    assert await store.take("k", collection="c") is None
    assert await store.get("k", collection="c") is None


async def test_take_of_an_empty_value_is_not_a_miss(store: TableStore) -> None:
    await store.put("k", {}, collection="c")
    assert await store.take("k", collection="c") == {}


async def test_take_of_an_expired_or_missing_value_is_none(store: TableStore) -> None:
    await store.put("k", {"a": 1}, collection="c", ttl=0.01)
    await asyncio.sleep(0.05)
    assert await store.take("k", collection="c") is None
    assert await store.take("missing", collection="c") is None


async def test_take_while_others_write_loses_no_value_it_did_not_return(store: TableStore) -> None:
    await store.put("k", {"n": 0}, collection="c")
    taken, *_ = await asyncio.gather(
        store.take("k", collection="c"),
        *(store.put("k", {"n": number}, collection="c") for number in range(1, 6)),
    )
    left = await store.get("k", collection="c")
    assert taken is not None or left is not None
    assert taken != left


async def test_default_collection_is_the_same_for_every_operation(store: TableStore) -> None:
    assert await store.put_if_absent("k", {"a": 1}) is True
    assert await store.get("k") == {"a": 1}
    assert await store.take("k") == {"a": 1}
