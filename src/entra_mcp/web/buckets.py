"""Token buckets by key, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60.0


class TokenBuckets:
    """Gives each key `per_minute` tokens, which come back evenly over a minute.

    A key that is forgotten begins again with a full bucket. The least recently used of more than `keys` is forgotten,
    so a bound that must hold against any number of keys needs a bucket of its own.
    """

    def __init__(self, *, per_minute: int, keys: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._keys = keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str = "") -> float:
        """Takes a token; returns 0, or the seconds until there is one to take."""
        now = self._clock()
        tokens, since = self._buckets.pop(key, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - since) * self._capacity / SECONDS)
        taken = tokens >= 1
        self._buckets[key] = (tokens - taken, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - tokens) * SECONDS / self._capacity
