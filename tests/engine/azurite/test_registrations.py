"""Registrations: they expire when nobody uses them, and using them costs one write a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entra_mcp.auth.clients.registrations import TOUCH_SECONDS, RegistrationStore
from entra_mcp.storage.collections import REGISTRATIONS
from tests.support.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore
    from entra_mcp.storage.table import Table

DAY = 24 * 3600.0
LIFETIME = 90 * DAY

Faulty = tuple[FaultProxy, "TableStore", "Table"]


async def ttl(store: TableStore, key: str = "client", collection: str = REGISTRATIONS) -> float | None:
    return (await store.ttl(key, collection=collection))[1]


async def test_new_registration_has_a_time_to_live(store: TableStore) -> None:
    await RegistrationStore(store, lifetime=LIFETIME).put("client", {"a": 1}, collection=REGISTRATIONS)
    assert await ttl(store) == pytest.approx(LIFETIME, abs=5)


@pytest.mark.parametrize(("age", "renewed"), [(0.0, False), (TOUCH_SECONDS - 60, False), (TOUCH_SECONDS + 60, True)])
async def test_use_prolongs_a_registration_once_a_day(faulty: Faulty, age: float, *, renewed: bool) -> None:
    proxy, store, _ = faulty
    registrations = RegistrationStore(store, lifetime=LIFETIME)
    await store.put("client", {"a": 1}, collection=REGISTRATIONS, ttl=LIFETIME - age)
    proxy.requests.clear()
    for _ in range(3):
        assert await registrations.get("client", collection=REGISTRATIONS) == {"a": 1}
    assert proxy.requests == {"GET": 3} | ({"PUT": 1} if renewed else {})
    assert await ttl(store) == pytest.approx(LIFETIME if renewed else LIFETIME - age, abs=5)


async def test_registration_without_a_time_to_live_gets_one(store: TableStore) -> None:
    await store.put("client", {"a": 1}, collection=REGISTRATIONS)
    await RegistrationStore(store, lifetime=LIFETIME).get("client", collection=REGISTRATIONS)
    assert await ttl(store) is not None


async def test_use_that_cannot_be_written_down_is_a_use_all_the_same(faulty: Faulty) -> None:
    proxy, store, _ = faulty
    await store.put("client", {"a": 1}, collection=REGISTRATIONS, ttl=60)
    proxy.break_next(503, times=100, method="PUT")
    registrations = RegistrationStore(store, lifetime=LIFETIME)
    assert await registrations.get("client", collection=REGISTRATIONS) == {"a": 1}
    assert proxy.faults > 0


async def test_other_collections_keep_their_own_times(store: TableStore) -> None:
    registrations = RegistrationStore(store, lifetime=LIFETIME)
    await registrations.put("k", {"a": 1}, collection="mcp-jti-mappings", ttl=60)
    await registrations.put("k", {"a": 1}, collection="other")
    assert await registrations.get("k", collection="mcp-jti-mappings") == {"a": 1}
    assert await ttl(store, "k", "mcp-jti-mappings") == pytest.approx(60, abs=5)
    assert await ttl(store, "k", "other") is None


async def test_unknown_client_is_a_miss(store: TableStore) -> None:
    assert await RegistrationStore(store, lifetime=LIFETIME).get("nobody", collection=REGISTRATIONS) is None
