"""Holds processes to a part of a processor: they are stopped and go on again, many times a second."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

PERIOD_SECONDS = 0.1
"""As long as the period of Linux's own limits (`cpu.cfs_period_us`), of which a process may use a part."""


@contextmanager
def throttled(processes: Iterable[psutil.Process], *, part: float) -> Generator[None]:
    """Lets the processes run for so large a part of the time, from 0 to 1, as long as the block runs."""
    held = list(processes)
    ended = threading.Event()

    def hold() -> None:
        while not ended.wait(PERIOD_SECONDS * part):
            for process in held:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            ended.wait(PERIOD_SECONDS * (1 - part))
            for process in held:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
