"""A lock between processes that the operating system releases when its holder dies, however it dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    # Windows locks are mandatory: a byte far beyond the end keeps the file's own text readable.
    _LOCKED_BYTE = 0x7FFF0000

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockHeldError(Exception):
    """Another process holds the lock; `note` is what that process wrote about itself."""

    def __init__(self, path: Path, note: str) -> None:
        super().__init__(f"{path} is held by another process")
        self.path = path
        self.note = note


@contextmanager
def exclusive(path: Path, *, note: str = "") -> Generator[None]:
    """Hold the lock at `path`, leaving `note` in it for others to read; LockHeldError at once if it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _take(descriptor)
        except OSError as fault:
            if fault.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                raise
            raise LockHeldError(path, _note(path)) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def waiting(path: Path, *, on_wait: Callable[[], None] = lambda: None, pause: float = 0.1) -> Generator[None]:
    """Hold the lock at `path`, waiting for as long as another living process holds it; `on_wait` is called once."""
    with ExitStack() as held:
        waited = False
        while True:
            try:
                held.enter_context(exclusive(path, note=str(os.getpid())))
                break
            except LockHeldError:
                if not waited:
                    on_wait()
                    waited = True
                time.sleep(pause)
        yield


def _note(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
