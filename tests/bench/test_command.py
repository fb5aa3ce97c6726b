"""`python -m bench`: its exit codes, and that what it measures can be recorded and compared."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.document import RECORDED
from bench.figures import Run, table
from bench.options import AT_LENGTH, PARTS
from local.config import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_part_has_a_module_and_is_in_the_help() -> None:
    assert all((REPOSITORY / "bench" / f"{name}.py").is_file() for name in PARTS)
    told = bench("--help")
    assert told.returncode == 0
    assert all(f"{name}: " in " ".join(told.stdout.split()) for name in PARTS)
    assert set(AT_LENGTH) < set(PARTS)


@pytest.mark.parametrize("arguments", [("callz",), ("--rounds", "0"), ("--rounds", "x"), ("cpu", "--run", "a.json")])
def test_wrong_usage_is_two(arguments: tuple[str, ...]) -> None:
    assert bench(*arguments).returncode == 2


def test_run_that_is_not_there_is_one() -> None:
    told = bench("--run", "nowhere.json")
    assert told.returncode == 1
    assert "FAILED: nowhere.json is no recorded run" in told.stderr


def test_run_alone_is_shown() -> None:
    told = bench("--run", str(RECORDED))
    assert told.returncode == 0
    assert all(table(part) in told.stdout for part in Run.read(RECORDED).parts.values())


def test_run_compared_with_itself_has_no_change() -> None:
    told = bench("--run", str(RECORDED), "--compare", str(RECORDED))
    assert told.returncode == 0
    assert told.stdout == "No ratio changed by more than the spread of both runs.\n"


def test_ratio_that_got_worse_is_shown_and_one(tmp_path: Path) -> None:
    slower = Run.read(RECORDED)
    part = slower.parts["cold_start"]
    samples = part.samples["the process is ready"]["this server"]
    part.samples["the process is ready"]["this server"] = [each * 10 for each in samples]
    slower.write(tmp_path / "slower.json")
    told = bench("--run", str(tmp_path / "slower.json"), "--compare", str(RECORDED))
    assert told.returncode == 1
    assert "| cold_start | the process is ready | stock on memory |" in told.stdout
    assert told.stdout.rstrip().endswith("| worse |")
    assert bench("--run", str(RECORDED), "--compare", str(tmp_path / "slower.json")).returncode == 0


def test_run_of_another_machine_replaces_no_record_that_has_more(tmp_path: Path) -> None:
    before = RECORDED.read_bytes()
    run = Run.read(RECORDED)
    Run({**run.machine, "processor": "another"}, {"cold_start": run.parts["cold_start"]}).write(tmp_path / "run.json")
    told = bench("--run", str(tmp_path / "run.json"), "--record")
    assert told.returncode == 1
    assert "Measure these parts too: calls, " in told.stderr
    assert RECORDED.read_bytes() == before


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_part_measures_this_server_and_a_baseline(tmp_path: Path) -> None:
    few = "--rounds 1 --calls 16 --people 2 --logins 2 --memory-calls 100 --rows 1000 --storm 20"
    told = bench(*PARTS, *few.split(), "--keep", str(tmp_path / "run.json"))
    assert told.returncode == 0, told.stderr
    found = Run.read(tmp_path / "run.json")
    assert set(found.parts) == set(PARTS)
    for part in found.parts.values():
        assert any(part.baselines(what) for what in part.samples)
