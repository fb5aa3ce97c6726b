"""Ratios of a run, and what changed between two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.contestants import MEMORY, OURS, TABLES
from bench.figures import PER_SECOND, BenchError, Part, Run, Spread, changes, ratio_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MACHINE = {"processor": "one"}


def run(ours: Sequence[float], theirs: Sequence[float], *, unit: str = "ms", machine: dict[str, str] = MACHINE) -> Run:
    """A run with one part and one thing that was measured."""
    part = Part("2026-01-01", {"rounds": len(ours)})
    for mine, its in zip(ours, theirs, strict=True):
        part.add("a call", MEMORY, its, unit)
        part.add("a call", OURS, mine, unit)
    return Run(machine, {"calls": part})


def test_ratio_is_of_the_two_samples_of_each_round() -> None:
    part = run([2, 30, 4], [1, 10, 4]).parts["calls"]
    assert part.ratio("a call", MEMORY) == Spread(2.0, 1.0, 3.0)
    assert part.value("a call", OURS) == 4


def test_table_has_a_ratio_beside_each_baseline_and_nothing_where_it_was_not_measured() -> None:
    part = run([2, 4], [1, 2]).parts["calls"]
    part.add("another", OURS, 1234, "")
    part.add("another", TABLES, 617, "")
    assert table(part).splitlines()[2:] == [
        "| a call | 3 ms | 1.5 ms | **2.00** |  |  |",
        "| another | 1,234  |  |  | 617  | **2.00** |",
    ]


def test_spread_of_several_rounds_is_shown() -> None:
    assert ratio_text(Spread(2, 1.5, 2.5)) == "**2.00** (1.50 to 2.50)"


@pytest.mark.parametrize(
    ("after", "unit", "worse"),
    [
        pytest.param([20, 21], "ms", [True], id="slower"),
        pytest.param([5, 6], "ms", [False], id="faster"),
        pytest.param([20, 21], PER_SECOND, [False], id="more a second"),
        pytest.param([5, 6], PER_SECOND, [True], id="less a second"),
        pytest.param([11, 30], "ms", [], id="spreads that meet"),
        pytest.param([12.3, 12.4], "ms", [], id="beyond the spread, by less than chance"),
    ],
)
def test_change_is_what_lies_beyond_the_spread_of_both(after: list[float], unit: str, worse: list[bool]) -> None:
    before = run([10, 12], [1, 1], unit=unit)
    if after == [12.3, 12.4]:
        before = run([12, 12.2], [1, 1], unit=unit)
    assert [change.worse for change in changes(before, run(after, [1, 1], unit=unit))] == worse


def test_slower_machine_is_no_change() -> None:
    assert changes(run([10, 12], [10, 10]), run([100, 120], [100, 100])) == []


def test_what_only_one_run_has_is_not_compared() -> None:
    assert changes(Run(MACHINE), run([1], [1])) == []


def test_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = run([1, 2], [3, 4])
    found.write(tmp_path / "kept" / "run.json")
    assert Run.read(tmp_path / "kept" / "run.json") == found


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"machine": {}, "parts": {"calls": {"more": 1}}})])
def test_file_that_is_no_run_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(BenchError, match=r"run\.json is no recorded run"):
        Run.read(tmp_path / "run.json")


def test_parts_replace_those_of_the_same_machine_only() -> None:
    earlier, later = run([1], [1]), Run(MACHINE, {"cpu": Part("2026-01-02", {})})
    assert set(later.merged_into(earlier).parts) == {"calls", "cpu"}
    later.machine = {"processor": "another"}
    assert set(later.merged_into(earlier).parts) == {"cpu"}
