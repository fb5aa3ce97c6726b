"""Starts commands under `guard.py`, and ends what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GUARD = Path(__file__).with_name("guard.py")
MARGIN = 3.0
"""Seconds beyond a command's own grace before its guard is killed too."""
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows an unseen console of the child's own: the terminal's Ctrl-C does not reach it, the guard's does."""


def guarded(command: Sequence[str], *, stop_signal: signal.Signals, grace: float) -> tuple[str, ...]:
    """The command line to start, with a pipe for standard input and in a new session, in place of `command`."""
    return (sys.executable, "-I", "-S", str(GUARD), stop_signal.name, str(grace), *command)


def kill_group(process: int) -> None:
    """The guard if it still runs and, where there are process groups, whatever the command left behind."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            os.kill(process, signal.SIGTERM)
        else:
            os.killpg(process, signal.SIGKILL)
