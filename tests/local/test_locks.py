"""Locks between processes: one holder at a time, and none after its holder's death."""

from __future__ import annotations

import sqlite3
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
    entered = False
    with exclusive(tmp_path / "lock"):
        entered = True
    assert entered


def test_later_note_replaces_an_earlier_one(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", note="a long note"):
        pass
    with exclusive(tmp_path / "lock", note="short"), pytest.raises(LockHeldError) as caught:
        exclusive(tmp_path / "lock").__enter__()
    assert caught.value.note == "short"


def test_folder_that_cannot_be_locked_in_is_not_taken_for_a_held_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(sqlite3.OperationalError), exclusive(tmp_path / "lock"):
        pass


def test_waiting_goes_on_when_the_holder_lets_go(tmp_path: Path) -> None:
    told: list[str] = []
    with holder(tmp_path / "lock") as process:

        def end_it() -> None:
            told.append("waiting")
            process.kill()

        with waiting(tmp_path / "lock", on_wait=end_it):
            told.append("held")
    assert told == ["waiting", "held"]


def test_waiting_excludes_threads_of_one_process(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with waiting(tmp_path / "lock"):
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
