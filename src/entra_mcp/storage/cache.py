"""A read cache for token sets, which may be a moment old, in front of a key-value store that several instances share.

`mcp-upstream-tokens` are what access tokens stand for: one that another instance deletes goes on working here until the
cache forgets it; one that this instance deletes ends at once. Every other collection is used once or decides who may: a
cached code could be replayed.

Threat: who reads this process's memory reads the tokens in it. They are not sealed here: the key to unseal them, the
vault's signing key, is in the same memory, and so is the bearer token of every request. Entries are short-lived and
bounded, and never leave the memory.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from cachetools import TLRUCache
from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.cancellation import leave
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from entra_mcp.storage.store import ConditionalStore

MAX_BYTES = 16 * 1024 * 1024
OVERHEAD_BYTES = 400
"""What an entry takes beside its value, its key included."""


@dataclass(slots=True)
class _Entry:
    value: bytes
    until: float

    @property
    def size(self) -> int:
        return len(self.value) + OVERHEAD_BYTES


@dataclass(slots=True)
class _Read:
    """A read of the store, and how many wait for it."""

    task: asyncio.Task[bytes | None]
    waiting: int = 0


class CachedStore(BaseWrapper):
    """Serves `get` of token sets from memory for some seconds; all else goes to the store.

    A miss is not remembered. Concurrent misses of one key read the store once. A write forgets the key before and
    after it, so that a read which began earlier cannot bring back what the write replaced. Belongs to one event loop.
    """

    def __init__(
        self,
        store: ConditionalStore,
        *,
        seconds: float,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        """Takes how many seconds a token set may be old; with 0 nothing is cached."""
        self.key_value = self._store = store
        self._seconds = seconds
        self._clock = clock
        # The base class counts nothing.
        self._metrics = None if type(metrics) is Metrics else metrics
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            max_bytes, ttu=lambda _key, entry, _now: entry.until, timer=clock, getsizeof=lambda entry: entry.size
        )
        self._reads: dict[str, _Read] = {}

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        if collection != UPSTREAM_TOKENS or not self._seconds:
            return await self.key_value.get(key, collection=collection)
        entry = self._entries.get(key)
        if self._metrics is not None:
            self._metrics.looked_up(collection=collection, hit=entry is not None)
        if entry is not None:
            return json.loads(entry.value)
        reading = self._reads.get(key)
        if reading is None:
            reading = self._reads[key] = _Read(asyncio.create_task(self._read(key)))
            leave(reading.task)
        reading.waiting += 1
        try:
            # A caller that goes away must not end the read that others wait for.
            value = await asyncio.shield(reading.task)
        finally:
            reading.waiting -= 1
            if not reading.waiting:
                # It has ended, or hangs: then who comes next must not wait for it.
                reading.task.cancel()
                if self._reads.get(key) is reading:
                    del self._reads[key]
        return None if value is None else json.loads(value)

    async def get_stored(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """As `get`, always from the store; what turns out to be gone is forgotten."""
        value = await self.key_value.get(key, collection=collection)
        if value is None:
            self._invalidate(collection, [key])
        return value

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        with self._writing(collection, [key]):
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    async def put_if_present(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> bool:
        """As the store's: puts the value if the key has one."""
        with self._writing(collection, [key]):
            return await self._store.put_if_present(key, value, collection=collection, ttl=ttl)

    @override
    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        with self._writing(collection, keys):
            await self.key_value.put_many(keys, values, collection=collection, ttl=ttl)

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        with self._writing(collection, [key]):
            return await self.key_value.delete(key, collection=collection)

    @override
    async def delete_many(self, keys: Sequence[str], *, collection: str | None = None) -> int:
        with self._writing(collection, keys):
            return await self.key_value.delete_many(keys, collection=collection)

    async def _read(self, key: str) -> bytes | None:
        started = self._clock()
        value, ttl = await self.key_value.ttl(key, collection=UPSTREAM_TOKENS)
        if value is None:
            self._entries.pop(key, None)
            return None
        content = json.dumps(value, separators=(",", ":")).encode()
        # A write meanwhile has taken this read from the list: what was read may be what it replaced.
        reading = self._reads.get(key)
        if reading is not None and reading.task is asyncio.current_task():
            lives = [self._seconds, *(() if ttl is None else (ttl,)), *_life(value)]
            entry = _Entry(content, started + min(lives))
            if entry.size <= self._entries.maxsize:
                self._entries[key] = entry
        return content

    @contextmanager
    def _writing(self, collection: str | None, keys: Sequence[str]) -> Generator[None]:
        self._invalidate(collection, keys)
        try:
            yield
        finally:
            self._invalidate(collection, keys)

    def _invalidate(self, collection: str | None, keys: Sequence[str]) -> None:
        if collection == UPSTREAM_TOKENS:
            for key in keys:
                self._entries.pop(key, None)
                self._reads.pop(key, None)


def _life(value: Mapping[str, Any]) -> list[float]:
    """For how many seconds the token in a token set is good: then another instance may have got the next one."""
    expires_at = value.get("expires_at")
    return [expires_at - time.time()] if isinstance(expires_at, int | float) else []
