"""Runs a long command of the set-up so that a person sees it move: its newest line, its log if it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from local.processes.guarded import MARGIN, NO_WINDOW, guarded, kill_group

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 30
LINE_WIDTH = 90
INTERVAL = 3.0
"""Seconds between two newest lines."""
GRACE = 10.0
"""Seconds that an interrupted command has to end cleanly."""


class CommandError(Exception):
    """A command cannot do what it is for; the message says why and what to do. It ends with exit code 2."""


def say(text: str) -> None:
    """One line, at once: the reader may be a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def started(
    command: Sequence[str],
    *,
    log: Path,
    hint: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Generator[Callable[[], None]]:
    """Start `command`, its output in `log`; it has ended when the block is left, in whatever way.

    Yields a function that waits for its end: every few seconds it says the newest line of the log. When the command
    fails, it raises CommandError with the end of the log, where the rest is, and `hint` as what to do.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            guarded(command, stop_signal=signal.SIGTERM, grace=GRACE),
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            start_new_session=True,
            creationflags=NO_WINDOW,
        ) as child,
    ):

        def finish() -> None:
            while True:
                try:
                    exit_code = child.wait(INTERVAL)
                    break
                except subprocess.TimeoutExpired:
                    step = tail_of(log, 1).strip() or "working"
                    say(f"    {step[:LINE_WIDTH]} ({time.monotonic() - began:.0f} s)")
            if exit_code:
                failed = f"`{' '.join(command)}` ended with exit code {exit_code}."
                raise CommandError(f"{failed}\n{tail_of(log)}\nThe whole log: {log}\n{hint}")

        try:
            yield finish
        finally:
            if child.poll() is None:
                _end(child)


def run_visibly(
    command: Sequence[str],
    *,
    log: Path,
    hint: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run `command` until it or this process ends, as `started` does."""
    with started(command, log=log, hint=hint, environment=environment, cwd=cwd) as finish:
        finish()


def _end(guard: subprocess.Popen[bytes]) -> None:
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
