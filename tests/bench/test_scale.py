"""The simulation behaves as what it stands for."""

from __future__ import annotations

import pytest

from bench.scale import OFFICE, PARTITIONS, TABLES, Habit, instances_for, simulate, written

ALONE = Habit("one call an hour each", bursts=1, calls=1, gap=1.0, lasts=0.1)


def test_simulation_says_the_same_each_time() -> None:
    first = simulate(1000, OFFICE)
    simulate.cache_clear()
    assert simulate(1000, OFFICE) == first


def test_calls_are_as_many_as_the_habit_says() -> None:
    assert simulate(20_000, OFFICE).calls == pytest.approx(20_000 * OFFICE.rate, rel=0.1)


def test_call_reads_once_without_a_cache_and_less_with_a_longer_one() -> None:
    reads = [simulate(2000, OFFICE, cache_seconds=seconds).reads_per_call for seconds in (0, 10, 60)]
    assert reads[0] == 1
    assert reads == sorted(reads, reverse=True)


def test_call_that_follows_none_reads_always() -> None:
    assert simulate(20_000, ALONE).reads_per_call == pytest.approx(1, abs=0.01)


def test_more_instances_find_less_in_their_caches() -> None:
    few, many = simulate(1000, OFFICE), simulate(20_000, OFFICE)
    assert few.instances < many.instances
    assert few.reads_per_call < many.reads_per_call


def test_busiest_partition_has_more_than_its_share() -> None:
    load = simulate(20_000, OFFICE)
    assert load.requests / PARTITIONS < load.partition < load.requests


def test_long_calls_need_instances_for_their_places() -> None:
    slow = Habit("slow tools", bursts=1, calls=1, gap=1.0, lasts=120.0)
    assert instances_for(10_000, slow) > instances_for(10_000, ALONE)


def test_tables_are_written_where_the_document_has_them() -> None:
    text = "\n".join(f"<!-- {name} -->\nold\n<!-- end -->" for name in ("storm", "vault"))
    found = written(text)
    assert "old" not in found
    assert "\n".join(TABLES["storm"]()) in found
    assert written(found) == found
