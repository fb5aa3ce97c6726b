"""Turns Ctrl-C, SIGTERM and a closed terminal into one orderly cancellation, or into an exception."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class TerminatedError(KeyboardInterrupt):
    """SIGTERM or a closed terminal, where Ctrl-C would have been a KeyboardInterrupt."""

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(received.name)
        self.received = received


@contextmanager
def raised_by_signals() -> Generator[None]:
    """Raise TerminatedError at SIGTERM and SIGHUP, so that what was started is ended; not where they are ignored."""

    def handle(number: int, _frame: FrameType | None) -> None:
        raise TerminatedError(signal.Signals(number))

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if os.name == "posix"]
    before = {number: signal.getsignal(number) for number in numbers}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in taken:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class StopRequest:
    """The first signal that asked to stop, or None."""

    received: signal.Signals | None = None


@contextmanager
def cancelled_by_signals(*, on_signal: Callable[[signal.Signals], None] = lambda _: None) -> Generator[StopRequest]:
    """Cancel the current task at the first signal; later ones change nothing, for stopping is bounded in time."""
    request = StopRequest()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def cancel() -> None:
        if task is not None:
            task.cancel()

    def handle(number: int, _frame: FrameType | None) -> None:
        if request.received is None:
            request.received = signal.Signals(number)
            on_signal(request.received)
            loop.call_soon_threadsafe(cancel)

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
