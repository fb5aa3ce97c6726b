"""Looks at processes that a test started: whether one still lives, and waiting until it does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(*pids: int, seconds: float = 60.0) -> bool:
    """Whether all of them ended in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def wait_for_number(file: Path, *, seconds: float = 60.0) -> int:
    """The number that a process writes into `file` once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = file.read_text() if file.exists() else ""
        if text.endswith("\n"):
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"{file.name} was not written in {seconds:g} s")
