"""Bulk operations: how rows are grouped, and how many requests run at once."""

from __future__ import annotations

import asyncio

import pytest

from entra_mcp.storage.bulk import REQUESTS_AT_ONCE, TRANSACTION_BYTES, TRANSACTION_ROWS, batches, concurrently


def grouped(rows: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    return batches(rows, partition=lambda row: row[0], size=lambda row: row[1])


def test_batches_of_nothing_are_none() -> None:
    assert grouped([]) == []


def test_batches_hold_one_partition_each_and_keep_the_order() -> None:
    assert grouped([("a", 1), ("b", 2), ("a", 3)]) == [[("a", 1), ("a", 3)], [("b", 2)]]


@pytest.mark.parametrize("count", [1, TRANSACTION_ROWS, TRANSACTION_ROWS + 1, 3 * TRANSACTION_ROWS])
def test_batches_have_at_most_as_many_rows_as_a_transaction(count: int) -> None:
    sizes = [len(batch) for batch in grouped([("a", 1)] * count)]
    assert sum(sizes) == count
    assert max(sizes) <= TRANSACTION_ROWS
    assert len(sizes) == -(-count // TRANSACTION_ROWS)


@pytest.mark.parametrize("size", [1, 700_000, TRANSACTION_BYTES // 2, TRANSACTION_BYTES])
def test_batches_fit_the_size_of_a_transaction(size: int) -> None:
    made = grouped([("a", size), ("b", size)] * 10)
    assert sum(len(batch) for batch in made) == 20
    assert all(sum(row[1] for row in batch) <= TRANSACTION_BYTES for batch in made)


async def test_concurrently_returns_the_results_in_order() -> None:
    async def later(number: int) -> int:
        await asyncio.sleep(0.001 * (5 - number))
        return number * 2

    assert await concurrently(later, range(5)) == [0, 2, 4, 6, 8]


async def test_concurrently_keeps_its_bound() -> None:
    running = peak = 0

    async def work(_: int) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.001)
        running -= 1

    await concurrently(work, range(100))
    assert peak == REQUESTS_AT_ONCE


async def test_concurrently_raises_the_first_error_with_its_cause_and_cancels_the_rest() -> None:
    cancelled: list[int] = []

    async def work(number: int) -> None:
        if number == 3:
            raise ValueError("third") from KeyError("why")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(ValueError, match="third") as caught:
        await concurrently(work, range(6))
    assert isinstance(caught.value.__cause__, KeyError)
    assert sorted(cancelled) == [0, 1, 2, 4, 5]
