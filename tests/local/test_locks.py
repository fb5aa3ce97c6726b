"""Locks between processes: one holder at a time, and none after its holder's death."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from local.processes.locks import LockHeldError, exclusive, waiting

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from local.processes.locks import exclusive
with exclusive(Path(sys.argv[1]), note="somebody else"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_lock_that_another_process_holds_is_refused_with_its_note(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        with pytest.raises(LockHeldError) as caught, exclusive(tmp_path / "lock"):
            pass
        process.kill()
    assert caught.value.note == "somebody else"


def test_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        process.kill()
    with exclusive(tmp_path / "lock", note="mine"):
        assert (tmp_path / "lock").read_text() == "mine"


def test_shorter_note_replaces_a_longer_one(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", note="a long note"):
        pass
    with exclusive(tmp_path / "lock", note="short"):
        assert (tmp_path / "lock").read_text() == "short"


def test_waiting_goes_on_when_the_holder_lets_go(tmp_path: Path) -> None:
    told: list[str] = []
    with holder(tmp_path / "lock") as process:
        threading.Timer(0.4, process.kill).start()
        began = time.monotonic()
        with waiting(tmp_path / "lock", on_wait=lambda: told.append("waiting"), pause=0.02):
            assert time.monotonic() - began >= 0.3
    assert told == ["waiting"]


def test_waiting_excludes_threads_of_one_process(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with waiting(tmp_path / "lock", pause=0.005):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 8


def test_error_inside_the_lock_is_not_taken_for_a_held_lock(tmp_path: Path) -> None:
    with (
        pytest.raises(LockHeldError, match="inner"),
        waiting(tmp_path / "outer"),
        exclusive(tmp_path / "inner"),
        exclusive(tmp_path / "inner"),
    ):
        pass
