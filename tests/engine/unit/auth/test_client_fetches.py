"""Fetches of clients' documents: how many run at once, in all and for one network."""

from __future__ import annotations

import asyncio

import pytest

from entra_mcp.auth.client_fetches import FETCHES_AT_ONCE, LOOKUPS_OF_ONE_NETWORK, ClientFetches
from entra_mcp.request import REQUEST, RequestScope
from entra_mcp.web.buckets import TokenBuckets


@pytest.mark.parametrize(("networks", "at_once"), [(1, LOOKUPS_OF_ONE_NETWORK), (8, FETCHES_AT_ONCE)])
async def test_so_many_fetches_run_at_once_and_the_others_wait(networks: int, at_once: int) -> None:
    fetches = ClientFetches(by_network=TokenBuckets(per_minute=1), overall=TokenBuckets(per_minute=1))
    running, most = 0, 0

    async def fetch() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async def asked_from(network: int) -> None:
        REQUEST.set(RequestScope(correlation_id="", address=f"203.0.{network}.7"))
        await fetches.run(fetch, seconds=30)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(48):
                tasks.create_task(asked_from(number % networks))
    finally:
        fetches.close()
    assert most == at_once
    assert (LOOKUPS_OF_ONE_NETWORK, FETCHES_AT_ONCE) == (4, 16)
