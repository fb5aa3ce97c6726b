"""Fetches of clients' documents, and the look-ups of names for them: how many run at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from entra_mcp.auth.client_fetches import (
    FETCHES_AT_ONCE,
    LOOKUPS_AT_ONCE,
    LOOKUPS_OF_ONE_NETWORK,
    ClientFetches,
    NameLookups,
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


@pytest.mark.parametrize(("networks", "at_once"), [(1, LOOKUPS_OF_ONE_NETWORK), (4, LOOKUPS_AT_ONCE)])
async def test_so_many_names_are_looked_up_at_once_and_the_others_wait(networks: int, at_once: int) -> None:
    """Some that wait are given up: their places go to the next."""
    lookups = NameLookups(by_network=TokenBuckets(per_minute=100), overall=TokenBuckets(per_minute=100))
    begun, go_on = threading.Semaphore(0), threading.Event()

    def look_up() -> list[object]:
        begun.release()
        go_on.wait()
        return []

    found = list[asyncio.Future[list[object]]]()
    for number in range(24):
        REQUEST.set(RequestScope(correlation_id="", address=f"203.0.{number % networks}.7"))
        found.append(asyncio.wrap_future(lookups.submit(look_up)))
    for _ in range(at_once):
        begun.acquire()
    assert not begun.acquire(blocking=False), "no more than that"
    for given_up in found[-3:]:
        given_up.cancel()
    go_on.set()
    assert await asyncio.gather(*found[:-3]) == [[]] * 21
    lookups.shutdown()
    assert (LOOKUPS_OF_ONE_NETWORK, LOOKUPS_AT_ONCE) == (4, 8)
