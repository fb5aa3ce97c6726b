"""Long commands: their newest line, their log, their end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from local import progress
from local.progress import CommandError, run_visibly, started, tail_of
from tests.support.processes import alive, wait_for_number

if TYPE_CHECKING:
    from pathlib import Path


def beats(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *, until: str) -> list[str]:
    """What is said of a command that goes on until something that begins so, or a hundred words, were said of it."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith(until) or len(said) == 100:
            (folder / "enough").touch()

    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    monkeypatch.setattr(progress, "say", say)
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(folder / 'enough')!r}).exists(): time.sleep(0.01)"
    run_visibly([sys.executable, "-c", f"{code}\n{wait}"], log=folder / "logs" / "it", hint="")
    return said


def test_long_command_shows_its_newest_line_and_keeps_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = beats(tmp_path, monkeypatch, f"print('first\\nnewest {'x' * 200}', flush=True)", until="    newest x")
    assert said[-1].startswith("    newest x")
    assert len(said[-1]) < 120
    assert (tmp_path / "logs" / "it").read_text().splitlines()[0] == "first"


def test_silent_command_still_shows_that_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert beats(tmp_path, monkeypatch, "", until="    working (")[0].startswith("    working (")


def test_command_has_ended_when_its_block_is_left(tmp_path: Path) -> None:
    code = "import os, pathlib, time; pathlib.Path('pid').write_text(f'{os.getpid()}\\n'); time.sleep(60)"
    with started([sys.executable, "-c", code], log=tmp_path / "log", hint="", cwd=tmp_path):
        pid = wait_for_number(tmp_path / "pid")
    assert not alive(pid)


def test_failed_command_shows_the_end_of_its_log(tmp_path: Path) -> None:
    code = "print('\\n'.join(f'line {i}' for i in range(100))); raise SystemExit(9)"
    with pytest.raises(CommandError) as caught:
        run_visibly([sys.executable, "-c", code], log=tmp_path / "log", hint="Do this.")
    first, *lines, where, hint = str(caught.value).splitlines()
    assert first.endswith("ended with exit code 9.")
    assert (lines[0], lines[-1]) == ("    line 70", "    line 99")
    assert (where, hint) == (f"The whole log: {tmp_path / 'log'}", "Do this.")


def test_tail_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail_of(tmp_path / "none") == ""
