"""Fetches of clients' documents, and the look-ups of names for them: how many run at once."""

from __future__ import annotations

import asyncio
import threading
from threading import Event
from typing import TYPE_CHECKING, override

import pytest

from entra_mcp.auth.clients import fetches as client_fetches
from entra_mcp.auth.clients.fetches import (
    FETCHES_AT_ONCE,
    FETCHES_OF_ONE_NETWORK,
    LOOKUPS_AT_ONCE,
    LOOKUPS_OF_ONE_NETWORK,
    WAITING_OF_ONE_NETWORK,
    ClientFetches,
    NameLookups,
    TooManyLookupsError,
)
from entra_mcp.request import REQUEST, RequestScope
from entra_mcp.web.exchange_queue import Turn, Turns
from entra_mcp.web.rate_limits import TokenBuckets

if TYPE_CHECKING:
    from starlette.types import Message


def from_network(number: int) -> None:
    REQUEST.set(RequestScope(correlation_id="", address=f"203.0.{number}.7"))


@pytest.mark.parametrize(("networks", "at_once"), [(1, FETCHES_OF_ONE_NETWORK), (20, FETCHES_AT_ONCE)])
async def test_so_many_fetches_run_at_once_and_the_others_wait(networks: int, at_once: int) -> None:
    fetches = ClientFetches(by_network=TokenBuckets(per_minute=1), overall=TokenBuckets(per_minute=1))
    running, most = 0, 0

    async def fetch() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async def run(number: int) -> None:
        from_network(number % networks)
        await fetches.run(fetch, seconds=30)

    try:
        await asyncio.gather(*(run(number) for number in range(networks * FETCHES_OF_ONE_NETWORK * 2)))
    finally:
        fetches.close()
    assert most == at_once
    assert (FETCHES_OF_ONE_NETWORK, FETCHES_AT_ONCE) == (4, 64)


async def test_fetches_of_one_network_leave_places_for_others() -> None:
    """Beyond those that may wait, one is refused at once."""
    fetches, go_on = ClientFetches(by_network=TokenBuckets(per_minute=1), overall=TokenBuckets(per_minute=1)), Event()

    async def fetch() -> None:
        while not go_on.is_set():  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.01)

    async def in_memory() -> str:
        return "here"

    from_network(1)
    many = range(FETCHES_OF_ONE_NETWORK + WAITING_OF_ONE_NETWORK)
    waiting = [asyncio.create_task(fetches.run(fetch, seconds=60)) for _ in many]
    try:
        await asyncio.sleep(0)
        with pytest.raises(TooManyLookupsError):
            await fetches.run(in_memory, seconds=60)
        from_network(2)
        assert await fetches.run(in_memory, seconds=60) == "here"
        from_network(1)
        gone = waiting.pop()
        gone.cancel()
        await asyncio.wait((gone,))
        waiting.append(asyncio.create_task(fetches.run(fetch, seconds=60)))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*waiting)
        assert await fetches.run(in_memory, seconds=60) == "here"
        assert fetches._networks == {}  # pyright: ignore[reportPrivateUsage] - nothing is left
    finally:
        fetches.close()


async def test_turn_is_given_up_only_for_what_is_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches, go_on = ClientFetches(by_network=TokenBuckets(per_minute=1), overall=TokenBuckets(per_minute=1)), Event()
    events: list[str] = []

    class Noted(Turn):
        @override
        def end(self) -> None:
            events.append("ended")
            go_on.set()

        @override
        async def begin(self) -> bool:
            events.append("begun")
            return True

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def in_memory() -> None:
        events.append("in memory")

    async def elsewhere() -> None:
        while not go_on.is_set():  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.01)
        events.append("fetched")

    from_network(1)
    request = REQUEST.get()
    assert request is not None
    request.turn = Noted(Turns(at_once=1, waiting=1), receive, seconds=60)
    try:
        monkeypatch.setattr(client_fetches, "SOON_SECONDS", 60.0)
        await fetches.run(in_memory, seconds=60)
        monkeypatch.setattr(client_fetches, "SOON_SECONDS", 0.01)
        await fetches.run(elsewhere, seconds=60)
    finally:
        fetches.close()
    assert events == ["in memory", "ended", "fetched", "begun"]


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
