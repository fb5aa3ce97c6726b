"""Runs a long command so that a person sees it move: its steps, a heartbeat between them, its log if it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from local.processes.guarded import MARGIN, NO_WINDOW, guarded, kill_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

TAIL_LINES = 30
GRACE = 10.0
"""Seconds that an interrupted command has to end cleanly."""


class CommandFailedError(Exception):
    """A command of the set-up failed; `tail` is the end of what it said, `log` holds the rest."""

    def __init__(self, command: Sequence[str], exit_code: int, log: Path, tail: str) -> None:
        super().__init__(f"`{' '.join(command)}` ended with exit code {exit_code}.\n{tail}\nThe whole log: {log}")
        self.exit_code = exit_code
        self.tail = tail


def say(text: str, *, to: TextIO | None = None) -> None:
    """One line, at once: the reader may be a pipe."""
    stream = to or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def run_visibly(
    command: Sequence[str],
    *,
    log: Path,
    step_of: Callable[[str], str | None] = lambda _line: None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    interval: float = 3.0,
    say: Callable[[str], None] = say,
) -> None:
    """Run `command` until it or this process ends, its output in `log`; CommandFailedError if it fails.

    Its newest step is said at most every `interval` seconds.

    `step_of` makes a step of a line of output, or None of a line that is none.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    newest: list[str] = []
    ended = threading.Event()

    def heartbeat() -> None:
        while not ended.wait(interval):
            step = newest[-1] if newest else "working"
            say(f"    {step} ({time.monotonic() - started:.0f} s)")

    with (
        log.open("w", encoding="utf-8") as sink,
        subprocess.Popen(
            guarded(command, stop_signal=signal.SIGTERM, grace=GRACE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            creationflags=NO_WINDOW,
        ) as child,
    ):
        reporter = threading.Thread(target=heartbeat, daemon=True)
        reporter.start()
        try:
            for line in child.stdout or ():
                sink.write(line)
                step = step_of(line)
                if step is not None:
                    newest[:] = [step]
            exit_code = child.wait()
        except BaseException:
            _end(child)
            raise
        finally:
            ended.set()
            reporter.join()
    if exit_code:
        raise CommandFailedError(command, exit_code, log, tail_of(log))


def _end(guard: subprocess.Popen[str]) -> None:
    """The guard ends the command when its input closes; a command that does not end is killed with all it started."""
    if guard.stdin is not None:
        guard.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        guard.wait(GRACE + MARGIN)
    kill_group(guard.pid)


def tail_of(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented, for a message; empty when there is no log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
