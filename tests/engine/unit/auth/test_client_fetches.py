"""Fetches of clients' documents, and the look-ups of names for them: how many run at once."""

from __future__ import annotations

import asyncio
import threading
from threading import Event

import pytest

from entra_mcp.auth.client_fetches import (
    FETCHES_AT_ONCE,
    LOOKUPS_AT_ONCE,
    LOOKUPS_OF_ONE_NETWORK,
    WAITING_FETCHES,
    ClientFetches,
    NameLookups,
    TooManyLookupsError,
)
from entra_mcp.request import REQUEST, RequestScope
from entra_mcp.web.buckets import TokenBuckets


async def test_so_many_fetches_run_at_once_and_the_others_wait() -> None:
    fetches = ClientFetches(by_network=TokenBuckets(per_minute=1), overall=TokenBuckets(per_minute=1))
    running, most = 0, 0

    async def fetch() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    try:
        await asyncio.gather(*(fetches.run(fetch, seconds=30) for _ in range(3 * FETCHES_AT_ONCE)))
    finally:
        fetches.close()
    assert most == FETCHES_AT_ONCE == 16


async def test_fetch_beyond_those_that_may_wait_is_refused_at_once() -> None:
    fetches, go_on = ClientFetches(by_network=TokenBuckets(per_minute=1), overall=TokenBuckets(per_minute=1)), Event()

    async def fetch() -> None:
        while not go_on.is_set():  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.01)

    try:
        waiting = [
            asyncio.create_task(fetches.run(fetch, seconds=60)) for _ in range(FETCHES_AT_ONCE + WAITING_FETCHES)
        ]
        await asyncio.sleep(0)
        with pytest.raises(TooManyLookupsError):
            await fetches.run(fetch, seconds=60)
        go_on.set()
        await asyncio.gather(*waiting)
        await fetches.run(fetch, seconds=60)
    finally:
        fetches.close()


@pytest.mark.parametrize(("networks", "at_once"), [(1, LOOKUPS_OF_ONE_NETWORK), (10, LOOKUPS_AT_ONCE)])
async def test_so_many_names_are_looked_up_at_once_and_the_others_wait(networks: int, at_once: int) -> None:
    """Some that wait are given up: their places go to the next."""
    lookups = NameLookups(by_network=TokenBuckets(per_minute=100), overall=TokenBuckets(per_minute=100))
    begun, go_on = threading.Semaphore(0), Event()

    def look_up() -> list[object]:
        begun.release()
        go_on.wait()
        return []

    found = list[asyncio.Future[list[object]]]()
    for number in range(50):
        REQUEST.set(RequestScope(correlation_id="", address=f"203.0.{number % networks}.7"))
        found.append(asyncio.wrap_future(lookups.submit(look_up)))
    for _ in range(at_once):
        begun.acquire()
    assert not begun.acquire(blocking=False), "no more than that"
    for given_up in found[-3:]:
        given_up.cancel()
    go_on.set()
    assert await asyncio.gather(*found[:-3]) == [[]] * 47
    lookups.shutdown()
    assert (LOOKUPS_OF_ONE_NETWORK, LOOKUPS_AT_ONCE) == (4, 32)
