"""Claims: one claimant at a time, a use that is history for all others, and no right that dies with its claimant."""

from __future__ import annotations

import asyncio
import math
import os
from typing import TYPE_CHECKING

import pytest

from entra_mcp.errors import StorageError
from entra_mcp.patience import Patience
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.ledger import Lease, Ledger, Redemption
from entra_mcp.storage.purge import purge
from entra_mcp.storage.table import WRITE_SECONDS
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.fault_proxy import Fault

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore
    from entra_mcp.storage.table import Table
    from tests.support.fault_proxy import FaultProxy

    Faulty = tuple[FaultProxy, TableStore, Table]

VALUES = ["", "code", "a/b\\c#d?e", "\n\0", "😀", "\ud800", "x" * 10_000]


@pytest.fixture
def ledger(table: Table, cipher: RowCipher) -> Ledger:
    return Ledger(table=table, cipher=cipher)


async def claim(ledger: Ledger, value: str = "v", *, seconds: float = 30, expires_in: float = 60) -> Lease | Redemption:
    return await ledger.acquire("code", value, seconds=seconds, expires_in=expires_in)


async def claimed(ledger: Ledger, value: str = "v", *, seconds: float = 30, expires_in: float = 60) -> Lease:
    found = await claim(ledger, value, seconds=seconds, expires_in=expires_in)
    assert isinstance(found, Lease)
    return found


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
async def test_settled_use_of_any_value_is_what_every_later_claimant_gets(ledger: Ledger, value: str) -> None:
    assert await ledger.settle(await claimed(ledger, value), {"tokens": "T"})
    for _ in range(2):
        use = await claim(ledger, value)
        assert isinstance(use, Redemption)
        assert use.outcome == {"tokens": "T"}
        assert 0 <= use.age < 5
    assert await ledger.look_up("code", value) is not None


async def test_claims_of_another_kind_or_value_are_independent(ledger: Ledger) -> None:
    for kind, value in [("code", "v"), ("refresh", "v"), ("codev", ""), ("code", "V")]:
        assert isinstance(await ledger.acquire(kind, value, seconds=30, expires_in=60), Lease)


async def test_claim_and_stored_value_of_equal_names_do_not_meet(ledger: Ledger, store: TableStore) -> None:
    await store.put("v", {"a": 1}, collection="code")
    await store.put("v", {"a": 1}, collection="ledger/code")
    await claimed(ledger)
    assert await store.get("v", collection="code") == {"a": 1}
    assert await store.get("v", collection="ledger/code") == {"a": 1}


async def test_claimant_waits_for_the_outcome_of_the_one_before(ledger: Ledger) -> None:
    first = await claimed(ledger)
    waiting = [asyncio.create_task(claim(ledger)) for _ in range(10)]
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in waiting)
    await ledger.settle(first, {"n": 1})
    uses = await asyncio.gather(*waiting)
    assert all(isinstance(use, Redemption) and use.outcome == {"n": 1} for use in uses)


async def test_released_claim_goes_to_one_of_those_who_wait(ledger: Ledger) -> None:
    first = await claimed(ledger)
    waiting = [asyncio.create_task(claim(ledger)) for _ in range(10)]
    await asyncio.sleep(0.1)
    await ledger.release(first)
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    second = done.pop().result()
    assert not done
    assert isinstance(second, Lease)
    await ledger.settle(second, {"n": 2})
    assert all(isinstance(use, Redemption) for use in await asyncio.gather(*pending))


async def test_lease_of_a_claimant_that_died_is_taken_over_by_one(ledger: Ledger) -> None:
    dead = await claimed(ledger, seconds=0.3)
    tasks = [asyncio.create_task(claim(ledger)) for _ in range(10)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    heir = done.pop().result()
    assert isinstance(heir, Lease)
    assert await ledger.settle(dead, {"by": "the dead"}) is False
    assert await ledger.settle(heir, {"by": "the heir"}) is True
    uses = await asyncio.gather(*pending)
    assert all(isinstance(use, Redemption) and use.outcome == {"by": "the heir"} for use in uses)


async def test_settled_claim_is_never_released(ledger: Ledger) -> None:
    """Others may have read the settlement already."""
    first = await claimed(ledger)
    await ledger.settle(first, {"n": 1})
    assert await ledger.release(first) is False
    use = await claim(ledger)
    assert isinstance(use, Redemption)
    assert use.outcome == {"n": 1}


async def test_of_a_settlement_and_a_release_at_once_exactly_one_counts(ledger: Ledger) -> None:
    for number in range(20):
        first = await claimed(ledger, f"v{number}")
        settled, released = await asyncio.gather(ledger.settle(first, {}), ledger.release(first))
        assert settled != released
        assert isinstance(await claim(ledger, f"v{number}"), Redemption if settled else Lease)


@pytest.mark.parametrize(("settled", "next_one"), [(True, Redemption), (False, Lease)], ids=["settled", "released"])
async def test_renewed_lease_is_not_taken_over_until_it_is_settled_or_released(
    ledger: Ledger, settled: bool, next_one: type[Redemption | Lease]
) -> None:
    first = await claimed(ledger, seconds=0.01)
    await ledger.renew(first, seconds=30)
    waiting = asyncio.create_task(claim(ledger))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert await (ledger.settle(first, {}) if settled else ledger.release(first)) is True
    assert isinstance(await waiting, next_one)


async def test_lease_that_was_taken_over_or_settled_is_not_renewed(ledger: Ledger) -> None:
    dead = await claimed(ledger, seconds=0.01)
    heir = await claimed(ledger)
    await ledger.renew(dead, seconds=30)
    assert await ledger.settle(dead, {}) is False
    assert await ledger.settle(heir, {"n": 1}) is True
    await ledger.renew(heir, seconds=30)
    use = await claim(ledger)
    assert isinstance(use, Redemption)
    assert use.outcome == {"n": 1}


async def test_release_after_a_takeover_leaves_the_heir_its_claim(ledger: Ledger) -> None:
    dead = await claimed(ledger, seconds=0.01)
    heir = await claimed(ledger)
    await ledger.release(dead)
    assert await ledger.settle(heir, {}) is True


async def test_expired_row_is_free_again_for_one(ledger: Ledger) -> None:
    await ledger.settle(await claimed(ledger, expires_in=0.3), {})
    await asyncio.sleep(0.35)
    assert await ledger.look_up("code", "v") is None
    tasks = [asyncio.create_task(claim(ledger)) for _ in range(5)]
    _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(waiting, timeout=0.5)
    assert sum(task.done() for task in tasks) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("expires_in", [0, -1, float("nan"), float("inf")])
async def test_claim_without_a_time_to_live_is_refused(ledger: Ledger, expires_in: float) -> None:
    with pytest.raises(ValueError, match="time to live"):
        await claim(ledger, expires_in=expires_in)


async def test_look_up_finds_settled_uses_alone(ledger: Ledger) -> None:
    assert await ledger.look_up("code", "v") is None
    first = await claimed(ledger)
    assert await ledger.look_up("code", "v") is None
    await ledger.settle(first, {"n": 1})
    found = await ledger.look_up("code", "v")
    assert found is not None
    assert found.outcome == {"n": 1}


async def test_purge_removes_expired_claims_only(ledger: Ledger, table: Table) -> None:
    for number in range(20):
        await ledger.settle(await claimed(ledger, f"expired{number}", expires_in=0.5), {})
        await ledger.settle(await claimed(ledger, f"living{number}"), {})
    await asyncio.sleep(0.5)
    assert (await purge(table, budget_seconds=60)).deleted == 20
    assert isinstance(await claim(ledger, "living0"), Redemption)


async def test_nothing_of_kind_value_or_outcome_is_readable_in_the_table(ledger: Ledger, table: Table) -> None:
    first = await ledger.acquire("mcp-codes", "hunter2", seconds=30, expires_in=60)
    assert isinstance(first, Lease)
    await ledger.settle(first, {"a": "secret-token"})
    (row,) = [row async for page in table.query("PartitionKey ge ''", select=()) for row in page]
    dump = repr(row) + repr(row.metadata)
    assert not any(word in dump for word in ("mcp-codes", "hunter2", "secret-token"))


async def test_use_under_a_key_that_is_gone_stays_used(ledger: Ledger, table: Table) -> None:
    await ledger.settle(await claimed(ledger), {"n": 1})
    other = Ledger(table=table, cipher=RowCipher(KeyRing((RootKey(version="2", material=os.urandom(32)),))))
    use = await claim(other)
    assert isinstance(use, Redemption)
    assert (use.outcome, use.age) == ({}, math.inf)


@pytest.mark.parametrize("fault", [Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE, Fault.RESET, 503], ids=str)
async def test_claim_whose_response_was_lost_is_still_the_first(
    faulty: Faulty, cipher: RowCipher, fault: Fault | int
) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table, cipher=cipher)
    proxy.break_next(fault, method="POST")
    first = await claimed(ledger)
    assert proxy.faults == 1
    assert await ledger.settle(first, {}) is True


@pytest.mark.parametrize("fault", [Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE, Fault.RESET, 503], ids=str)
async def test_settlement_whose_response_was_lost_is_settled(
    faulty: Faulty, cipher: RowCipher, fault: Fault | int
) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table, cipher=cipher)
    first = await claimed(ledger)
    proxy.break_next(fault, method="PUT")
    assert await ledger.settle(first, {"n": 1}) is True
    assert proxy.faults == 1
    use = await claim(ledger)
    assert isinstance(use, Redemption)
    assert use.outcome == {"n": 1}


async def test_claim_that_ended_in_an_error_is_free_when_its_lease_is_over(faulty: Faulty, cipher: RowCipher) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table, cipher=cipher)
    proxy.break_next(Fault.LOSE_RESPONSE, times=1000)
    with pytest.raises(StorageError):
        await claim(ledger, seconds=0.5)
    proxy.fault = None
    async with Patience(WRITE_SECONDS):
        assert isinstance(await claim(ledger), Lease)


async def test_claim_settlement_and_look_up_are_one_request_each(faulty: Faulty, cipher: RowCipher) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table, cipher=cipher)
    proxy.requests.clear()
    first = await claimed(ledger)
    assert proxy.requests == {"POST": 1}
    await ledger.settle(first, {})
    assert proxy.requests == {"POST": 1, "PUT": 1}
    await claim(ledger)
    assert proxy.requests == {"POST": 2, "PUT": 1, "GET": 1}
