"""Fetches of clients' documents: how many run at once."""

from __future__ import annotations

import asyncio

from entra_mcp.auth.client_fetches import FETCHES_AT_ONCE, ClientFetches
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
