"""Long commands: their steps, their heartbeat, their log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from local.progress import CommandFailedError, run_visibly, tail_of

if TYPE_CHECKING:
    from pathlib import Path


def test_long_command_shows_its_steps_and_keeps_its_log(tmp_path: Path) -> None:
    said: list[str] = []
    # Slow enough that even on a busy machine, where the child starts late, several beats fall between its steps.
    code = "import time\nfor i in range(4): print('step', i, flush=True); time.sleep(0.3)"
    log = tmp_path / "logs" / "it.log"
    run_visibly(
        [sys.executable, "-c", code],
        log=log,
        step_of=lambda line: line.strip() if line.startswith("step") else None,
        interval=0.1,
        say=said.append,
    )
    assert len([line for line in said if line.startswith("    step ")]) >= 3
    assert log.read_text().splitlines() == [f"step {number}" for number in range(4)]


def test_silent_command_still_shows_that_it_works(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import time; time.sleep(0.5)"
    run_visibly([sys.executable, "-c", code], log=tmp_path / "log", interval=0.1, say=said.append)
    assert said
    assert said[0].startswith("    working (")


def test_failed_command_shows_the_end_of_its_log(tmp_path: Path) -> None:
    code = "for i in range(100): print('line', i)\nraise SystemExit(9)"
    with pytest.raises(CommandFailedError) as caught:
        run_visibly([sys.executable, "-c", code], log=tmp_path / "log")
    assert caught.value.exit_code == 9
    assert caught.value.tail.splitlines()[0] == "    line 70"
    assert caught.value.tail.splitlines()[-1] == "    line 99"
    assert str(tmp_path / "log") in str(caught.value)


def test_tail_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail_of(tmp_path / "none") == ""
