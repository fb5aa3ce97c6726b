"""A lock between processes that the operating system releases when its holder dies, however it dies.

It is SQLite's: the set-up needs one before any package is installed, and the standard library has no other that works
alike on Linux, macOS and Windows.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

PAUSE = 0.2
"""Seconds after which a waiting process can be interrupted."""


class LockHeldError(Exception):
    """Another process holds the lock; `note` is what that process wrote about itself."""

    def __init__(self, path: Path, note: str) -> None:
        super().__init__(f"{path} is held by another process")
        self.note = note


@contextmanager
def exclusive(path: Path, *, note: str = "", wait: float = 0.0) -> Generator[None]:
    """Hold the lock at `path`, leaving `note` beside it for others; LockHeldError if it is held for `wait` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note_file = path.with_name(f"{path.name}.note")
    with closing(sqlite3.connect(path, timeout=wait, isolation_level=None)) as database:
        try:
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise LockHeldError(path, note_file.read_text("utf-8") if note_file.exists() else "") from None
        if note:
            note_file.write_text(note, "utf-8")
        yield


@contextmanager
def waiting(path: Path, *, on_wait: Callable[[], None] = lambda: None) -> Generator[None]:
    """Hold the lock at `path`, waiting for as long as another living process holds it; `on_wait` is called once."""
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(path))
        except LockHeldError:
            on_wait()
            while True:
                with suppress(LockHeldError):
                    held.enter_context(exclusive(path, wait=PAUSE))
                    break
        yield
