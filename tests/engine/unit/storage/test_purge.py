"""How the purge groups rows: of one partition each, and no more than a transaction takes."""

from __future__ import annotations

import pytest

from entra_mcp.storage.purge import TRANSACTION_ROWS, batches


def rows(*partitions: str) -> list[dict[str, str]]:
    return [{"PartitionKey": partition, "RowKey": str(number)} for number, partition in enumerate(partitions)]


def test_batches_of_nothing_are_none() -> None:
    assert batches([]) == []


def test_batches_hold_one_partition_each_and_keep_the_order() -> None:
    first, second, third = rows("a", "b", "a")
    assert batches([first, second, third]) == [[first, third], [second]]


@pytest.mark.parametrize("count", [1, TRANSACTION_ROWS, TRANSACTION_ROWS + 1, 3 * TRANSACTION_ROWS])
def test_batches_have_at_most_as_many_rows_as_a_transaction(count: int) -> None:
    sizes = [len(batch) for batch in batches(rows(*"a" * count))]
    assert sum(sizes) == count
    assert max(sizes) <= TRANSACTION_ROWS
    assert len(sizes) == -(-count // TRANSACTION_ROWS)
