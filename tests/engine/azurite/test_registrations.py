"""Registrations: they expire when nobody uses them, and using them costs one write a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entra_mcp.auth.proxy_store import TOUCH_SECONDS, ProxyStore
from entra_mcp.storage.cache import CachedStore
from entra_mcp.storage.collections import REGISTRATIONS
from tests.support.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore
    from entra_mcp.storage.table import Table

DAY = 24 * 3600.0
LIFETIME = 90 * DAY

Faulty = tuple[FaultProxy, "TableStore", "Table"]


def registrations_in(store: TableStore) -> ProxyStore:
    return ProxyStore(CachedStore(store, seconds=0), registration_seconds=LIFETIME)


async def ttl(store: TableStore, key: str = "client", collection: str = REGISTRATIONS) -> float | None:
    return (await store.ttl(key, collection=collection))[1]


async def test_new_registration_has_a_time_to_live(store: TableStore) -> None:
    await registrations_in(store).put("client", {"a": 1}, collection=REGISTRATIONS)
    assert await ttl(store) == pytest.approx(LIFETIME, abs=5)


@pytest.mark.parametrize(("age", "renewed"), [(0.0, False), (TOUCH_SECONDS - 60, False), (TOUCH_SECONDS + 60, True)])
async def test_use_prolongs_a_registration_once_a_day(faulty: Faulty, age: float, *, renewed: bool) -> None:
    proxy, store, _ = faulty
    registrations = registrations_in(store)
    await store.put("client", {"a": 1}, collection=REGISTRATIONS, ttl=LIFETIME - age)
    proxy.requests.clear()
    for _ in range(3):
        assert await registrations.get("client", collection=REGISTRATIONS) == {"a": 1}
    assert proxy.requests == {"GET": 3} | ({"PUT": 1} if renewed else {})
    assert await ttl(store) == pytest.approx(LIFETIME if renewed else LIFETIME - age, abs=5)


async def test_registration_without_a_time_to_live_gets_one(store: TableStore) -> None:
    await store.put("client", {"a": 1}, collection=REGISTRATIONS)
    await registrations_in(store).get("client", collection=REGISTRATIONS)
    assert await ttl(store) is not None


async def test_use_that_cannot_be_written_down_is_a_use_all_the_same(faulty: Faulty) -> None:
    proxy, store, _ = faulty
    await store.put("client", {"a": 1}, collection=REGISTRATIONS, ttl=60)
    proxy.break_next(503, times=100, method="PUT")
    registrations = registrations_in(store)
    assert await registrations.get("client", collection=REGISTRATIONS) == {"a": 1}
    assert proxy.faults > 0


async def test_other_collections_keep_their_own_times(store: TableStore) -> None:
    registrations = registrations_in(store)
    await registrations.put("k", {"a": 1}, collection="mcp-oauth-transactions", ttl=60)
    await registrations.put("k", {"a": 1}, collection="other")
    assert await registrations.get("k", collection="mcp-oauth-transactions") == {"a": 1}
    assert await ttl(store, "k", "mcp-oauth-transactions") == pytest.approx(60, abs=5)
    assert await ttl(store, "k", "other") is None


async def test_unknown_client_is_a_miss(store: TableStore) -> None:
    assert await registrations_in(store).get("nobody", collection=REGISTRATIONS) is None
