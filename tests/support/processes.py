"""Looks at processes that a test started, and waits for what they do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 60.0
"""How long something may take that is a matter of moments on an idle machine, in seconds."""


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> bool:
    """Polls until the condition holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def wait_until_gone(*pids: int) -> bool:
    """Whether all of them ended in time."""
    return eventually(lambda: not any(alive(pid) for pid in pids))


def wait_for_number(file: Path) -> int:
    """The number that a process writes into `file` once it is there."""
    written = eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    assert written, f"{file.name} was not written in time"
    return int(file.read_text())
