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


class TerminatedError(KeyboardInterrupt):
    """SIGTERM or a closed terminal, where Ctrl-C would have been a KeyboardInterrupt."""

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(received.name)
        self.received = received


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None], *names: str) -> Generator[None]:
    """Handle those signals that this system has until the block is left; then the handlers of before take over."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, previous in before:
            signal.signal(number, previous)


@contextmanager
def raised_by_signals() -> Generator[None]:
    """Raise TerminatedError at SIGTERM and SIGHUP, so that what was started is ended; not where they are ignored."""

    def handle(number: int, _frame: FrameType | None) -> None:
        raise TerminatedError(signal.Signals(number))

    names = ("SIGTERM", "SIGHUP") if os.name == "posix" else ()
    with handled(handle, *(name for name in names if signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN)):
        yield


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

    with handled(handle, "SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        yield request
