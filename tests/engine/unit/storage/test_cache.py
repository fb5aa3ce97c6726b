"""The read cache: what it serves, when it forgets, and that no write can be undone by a read."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, SupportsFloat, override

import pytest
from key_value.aio.errors import StoreConnectionError
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.storage.cache import OVERHEAD_BYTES, CachedStore
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping


class SlowStore(BaseWrapper):
    """A store in memory that counts its reads and can be stopped in the middle of a read or a write."""

    def __init__(self) -> None:
        self.key_value = MemoryStore()
        self.reads = 0
        self.answer_reads = asyncio.Event()
        self.finish_writes = asyncio.Event()
        self.answer_reads.set()
        self.finish_writes.set()
        self.broken = False

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        return (await self.ttl(key, collection=collection))[0]

    @override
    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[dict[str, Any] | None, float | None]:
        self.reads += 1
        found = await self.key_value.ttl(key, collection=collection)
        await self.answer_reads.wait()
        if self.broken:
            raise StoreConnectionError("broken")
        return found

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        if self.broken:
            raise StoreConnectionError("broken")
        await self.key_value.put(key, value, collection=collection, ttl=ttl)
        await self.finish_writes.wait()

    async def put_if_present(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> bool:
        if await self.key_value.get(key, collection=collection) is None:
            return False
        await self.put(key, value, collection=collection, ttl=ttl)
        return True


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(store: SlowStore, clock: Clock) -> CachedStore:
    return CachedStore(store, seconds=60, clock=clock)


async def test_second_get_is_served_from_memory_until_the_time_is_over(
    cache: CachedStore, store: SlowStore, clock: Clock
) -> None:
    await cache.put("k", {"a": 1}, collection=UPSTREAM_TOKENS)
    for _ in range(3):
        assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"a": 1}
    assert store.reads == 1
    clock.advance(59.9)
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"a": 1}
    assert store.reads == 1
    clock.advance(0.2)
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"a": 1}
    assert store.reads == 2


async def test_value_is_not_served_longer_than_it_lives(cache: CachedStore, store: SlowStore, clock: Clock) -> None:
    await cache.put("k", {"a": 1}, collection=UPSTREAM_TOKENS, ttl=10)
    await cache.get("k", collection=UPSTREAM_TOKENS)
    clock.advance(10.1)
    await cache.get("k", collection=UPSTREAM_TOKENS)
    assert store.reads == 2


async def test_token_set_is_not_served_when_its_token_has_expired(store: SlowStore, clock: Clock) -> None:
    """Another instance may have refreshed it."""
    cache = CachedStore(store, seconds=60, clock=clock)
    await store.put("over", {"expires_at": time.time() - 1}, collection=UPSTREAM_TOKENS)
    await store.put("good", {"expires_at": time.time() + 3600}, collection=UPSTREAM_TOKENS)
    for key in ("over", "over", "good", "good"):
        assert await cache.get(key, collection=UPSTREAM_TOKENS)
    assert store.reads == 3


async def test_read_that_must_be_current_is_not_served_from_memory(cache: CachedStore, store: SlowStore) -> None:
    await cache.put("k", {"a": 1}, collection=UPSTREAM_TOKENS)
    for _ in range(2):
        await cache.get("k", collection=UPSTREAM_TOKENS)
    await store.put("k", {"a": 2}, collection=UPSTREAM_TOKENS)
    assert await cache.get_stored("k", collection=UPSTREAM_TOKENS) == {"a": 2}


@pytest.mark.parametrize("collection", [None, "mcp-oauth-proxy-clients", "mcp-authorization-codes"])
async def test_other_collections_are_always_read_from_the_store(
    cache: CachedStore, store: SlowStore, collection: str | None
) -> None:
    await cache.put("k", {"a": 1}, collection=collection)
    for _ in range(3):
        assert await cache.get("k", collection=collection) == {"a": 1}
    assert store.reads == 3


async def test_value_from_memory_is_a_copy(cache: CachedStore) -> None:
    await cache.put("k", {"list": [1]}, collection=UPSTREAM_TOKENS)
    for _ in range(3):
        value = await cache.get("k", collection=UPSTREAM_TOKENS) or {}
        assert value == {"list": [1]}
        value["list"].append(2)


async def test_missing_value_is_looked_for_every_time(cache: CachedStore, store: SlowStore) -> None:
    assert await cache.get("k", collection=UPSTREAM_TOKENS) is None
    await store.put("k", {"from": "another instance"}, collection=UPSTREAM_TOKENS)
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"from": "another instance"}


async def test_put_and_delete_are_seen_at_once(cache: CachedStore) -> None:
    for number in range(3):
        await cache.put("k", {"n": number}, collection=UPSTREAM_TOKENS)
        assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"n": number}
    await cache.put_many(["k", "j"], [{"n": 10}, {"n": 11}], collection=UPSTREAM_TOKENS)
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"n": 10}
    assert await cache.delete("k", collection=UPSTREAM_TOKENS) is True
    assert await cache.get("k", collection=UPSTREAM_TOKENS) is None
    assert await cache.get("j", collection=UPSTREAM_TOKENS) == {"n": 11}
    assert await cache.delete_many(["j"], collection=UPSTREAM_TOKENS) == 1
    assert await cache.get("j", collection=UPSTREAM_TOKENS) is None


async def test_read_that_began_before_a_write_is_not_remembered(cache: CachedStore, store: SlowStore) -> None:
    await store.put("k", {"n": "old"}, collection=UPSTREAM_TOKENS)
    store.answer_reads.clear()
    early = asyncio.create_task(cache.get("k", collection=UPSTREAM_TOKENS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cache.put("k", {"n": "new"}, collection=UPSTREAM_TOKENS)
    store.answer_reads.set()
    assert await early == {"n": "old"}
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"n": "new"}


async def test_read_during_a_write_is_not_remembered_past_it(cache: CachedStore, store: SlowStore) -> None:
    await store.put("k", {"n": "old"}, collection=UPSTREAM_TOKENS)
    await cache.get("k", collection=UPSTREAM_TOKENS)
    store.finish_writes.clear()
    writing = asyncio.create_task(cache.put("k", {"n": "new"}, collection=UPSTREAM_TOKENS))
    await asyncio.sleep(0)
    await cache.get("k", collection=UPSTREAM_TOKENS)
    reads = store.reads
    store.finish_writes.set()
    await writing
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"n": "new"}
    assert store.reads == reads + 1


async def test_read_after_a_write_does_not_join_one_from_before(cache: CachedStore, store: SlowStore) -> None:
    await store.put("k", {"n": "old"}, collection=UPSTREAM_TOKENS)
    store.answer_reads.clear()
    early = asyncio.create_task(cache.get("k", collection=UPSTREAM_TOKENS))
    await asyncio.sleep(0.01)
    await cache.delete("k", collection=UPSTREAM_TOKENS)
    late = asyncio.create_task(cache.get("k", collection=UPSTREAM_TOKENS))
    await asyncio.sleep(0.01)
    store.answer_reads.set()
    assert await early == {"n": "old"}
    assert await late is None


async def test_failed_write_makes_the_value_unknown(cache: CachedStore, store: SlowStore) -> None:
    await cache.put("k", {"n": 1}, collection=UPSTREAM_TOKENS)
    await cache.get("k", collection=UPSTREAM_TOKENS)
    store.broken = True
    with pytest.raises(StoreConnectionError):
        await cache.put("k", {"n": 2}, collection=UPSTREAM_TOKENS)
    store.broken = False
    await cache.get("k", collection=UPSTREAM_TOKENS)
    assert store.reads == 2


async def test_concurrent_misses_read_once(cache: CachedStore, store: SlowStore) -> None:
    await store.put("k", {"a": 1}, collection=UPSTREAM_TOKENS)
    values = await asyncio.gather(*(cache.get("k", collection=UPSTREAM_TOKENS) for _ in range(50)))
    assert values == [{"a": 1}] * 50
    assert store.reads == 1
    (values[0] or {})["a"] = 2
    assert values[1] == {"a": 1}


async def test_caller_that_goes_away_does_not_end_the_read_of_others(cache: CachedStore, store: SlowStore) -> None:
    await store.put("k", {"a": 1}, collection=UPSTREAM_TOKENS)
    store.answer_reads.clear()
    first, second = (asyncio.create_task(cache.get("k", collection=UPSTREAM_TOKENS)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0)
    store.answer_reads.set()
    assert await second == {"a": 1}
    assert store.reads == 1


async def test_read_that_everybody_gave_up_is_not_joined_by_the_next_caller(
    cache: CachedStore, store: SlowStore
) -> None:
    await store.put("k", {"a": 1}, collection=UPSTREAM_TOKENS)
    store.answer_reads.clear()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await cache.get("k", collection=UPSTREAM_TOKENS)
    store.answer_reads.set()
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"a": 1}
    assert store.reads == 3


async def test_error_reaches_every_caller_and_is_not_remembered(cache: CachedStore, store: SlowStore) -> None:
    await store.put("k", {"a": 1}, collection=UPSTREAM_TOKENS)
    store.broken = True
    outcomes = await asyncio.gather(
        *(cache.get("k", collection=UPSTREAM_TOKENS) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreConnectionError) for outcome in outcomes)
    store.broken = False
    assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"a": 1}


async def test_memory_is_bounded_and_the_longest_unused_goes_first(store: SlowStore) -> None:
    cache = CachedStore(store, seconds=60, max_bytes=3 * (OVERHEAD_BYTES + 20))
    for key in "abcd":
        await store.put(key, {"key": key}, collection=UPSTREAM_TOKENS)
    for key in "abcad":
        await cache.get(key, collection=UPSTREAM_TOKENS)
    assert store.reads == 4
    for key in "acd":
        await cache.get(key, collection=UPSTREAM_TOKENS)
    assert store.reads == 4
    await cache.get("b", collection=UPSTREAM_TOKENS)
    assert store.reads == 5


async def test_bytes_are_bounded(store: SlowStore) -> None:
    cache = CachedStore(store, seconds=60, max_bytes=10_000)
    for number in range(20):
        await store.put(f"k{number}", {"text": "x" * 1000}, collection=UPSTREAM_TOKENS)
        await cache.get(f"k{number}", collection=UPSTREAM_TOKENS)
    kept = 0
    for number in reversed(range(20)):
        before = store.reads
        await cache.get(f"k{number}", collection=UPSTREAM_TOKENS)
        if store.reads > before:
            break
        kept += 1
    assert 5 <= kept <= 9


async def test_value_larger_than_the_cache_is_served_and_not_kept(store: SlowStore) -> None:
    cache = CachedStore(store, seconds=60, max_bytes=1000)
    await store.put("k", {"text": "x" * 2000}, collection=UPSTREAM_TOKENS)
    for _ in range(2):
        assert await cache.get("k", collection=UPSTREAM_TOKENS) == {"text": "x" * 2000}
    assert store.reads == 2
