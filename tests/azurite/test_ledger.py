"""One-time claims: the first one counts, expiry frees them, and a lost response costs the claimant nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entra_mcp.errors import StorageError
from entra_mcp.storage.ledger import Ledger
from entra_mcp.storage.purge import purge
from tests.support.fault_proxy import Fault

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore
    from entra_mcp.storage.table import Table
    from tests.support.fault_proxy import FaultProxy

    Faulty = tuple[FaultProxy, TableStore, Table]

VALUES = ["", "code", "a/b\\c#d?e", "\n\0", "😀", "\ud800", "x" * 10_000]


@pytest.fixture
def ledger(table: Table) -> Ledger:
    return Ledger(table=table)


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
async def test_first_claim_of_any_value_wins_and_every_later_one_loses(ledger: Ledger, value: str) -> None:
    assert await ledger.claim("code", value, expires_in=60) is True
    assert await ledger.claim("code", value, expires_in=60) is False
    assert await ledger.claim("code", value, expires_in=60, owner="somebody") is False


async def test_claims_of_another_kind_or_value_are_independent(ledger: Ledger) -> None:
    assert await ledger.claim("code", "v", expires_in=60) is True
    assert await ledger.claim("refresh", "v", expires_in=60) is True
    assert await ledger.claim("codev", "", expires_in=60) is True
    assert await ledger.claim("code", "V", expires_in=60) is True


async def test_claim_and_stored_value_of_equal_names_do_not_meet(ledger: Ledger, store: TableStore) -> None:
    await store.put("v", {"a": 1}, collection="code")
    assert await ledger.claim("code", "v", expires_in=60) is True
    assert await store.get("v", collection="code") == {"a": 1}


async def test_claim_by_its_owner_again_is_the_same_claim(ledger: Ledger) -> None:
    assert await ledger.claim("code", "v", expires_in=60, owner="one") is True
    assert await ledger.claim("code", "v", expires_in=60, owner="one") is True
    assert await ledger.claim("code", "v", expires_in=60, owner="two") is False
    assert await ledger.claim("code", "v", expires_in=60) is False


async def test_expired_claim_is_free_again_for_one(ledger: Ledger) -> None:
    assert await ledger.claim("code", "v", expires_in=0.01) is True
    await asyncio.sleep(0.05)
    outcomes = await asyncio.gather(*(ledger.claim("code", "v", expires_in=60) for _ in range(20)))
    assert sum(outcomes) == 1


@pytest.mark.parametrize("expires_in", [0, -1, float("nan"), float("inf")])
async def test_claim_without_a_time_to_live_is_refused(ledger: Ledger, expires_in: float) -> None:
    with pytest.raises(ValueError, match="time to live"):
        await ledger.claim("code", "v", expires_in=expires_in)


async def test_purge_removes_expired_claims_only(ledger: Ledger, table: Table) -> None:
    for number in range(20):
        await ledger.claim("code", f"expired{number}", expires_in=0.01)
        await ledger.claim("code", f"living{number}", expires_in=60)
    await asyncio.sleep(0.05)
    assert (await purge(table, budget_seconds=60)).deleted == 20
    assert await ledger.claim("code", "living0", expires_in=60) is False


async def test_nothing_of_kind_value_or_owner_is_readable_in_the_table(ledger: Ledger, table: Table) -> None:
    await ledger.claim("mcp-codes", "hunter2", expires_in=60, owner="somebody")
    (row,) = [row async for page in table.query("PartitionKey ge ''", select=()) for row in page]
    dump = repr(row) + repr(row.metadata)
    assert not any(word in dump for word in ("mcp-codes", "hunter2", "somebody"))


@pytest.mark.parametrize("fault", [Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE, Fault.RESET, 503], ids=str)
async def test_claim_whose_response_was_lost_is_still_the_first(faulty: Faulty, fault: Fault | int) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table)
    proxy.break_next(fault, method="POST")
    assert await ledger.claim("code", "v", expires_in=60) is True
    assert proxy.faults == 1
    assert await ledger.claim("code", "v", expires_in=60) is False


async def test_claim_that_ended_in_an_error_can_be_repeated_by_its_owner_alone(faulty: Faulty) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table)
    proxy.break_next(Fault.LOSE_RESPONSE, times=1000)
    with pytest.raises(StorageError):
        await ledger.claim("code", "v", expires_in=60, owner="one")
    proxy.fault = None
    assert await ledger.claim("code", "v", expires_in=60, owner="two") is False
    assert await ledger.claim("code", "v", expires_in=60, owner="one") is True


async def test_claim_costs_one_request_and_a_lost_one_two(faulty: Faulty) -> None:
    proxy, _, table = faulty
    ledger = Ledger(table=table)
    proxy.requests.clear()
    await ledger.claim("code", "v", expires_in=60)
    assert proxy.requests == {"POST": 1}
    await ledger.claim("code", "v", expires_in=60)
    assert proxy.requests == {"POST": 2, "GET": 1}
