"""Clocks that stand still until a test moves them, or until nothing but a wait is left."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass
class Clock:
    """Called, it returns the time in seconds, as `time.time` and `time.monotonic` do."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def virtual_time() -> Generator[Clock]:
    """Stops the clock of the running event loop, and lets it jump to its next timer when there is nothing else to do.

    For what happens within this process: an answer over a socket, or of a thread, would come after the timers.
    """
    loop = cast("Any", asyncio.get_running_loop())
    clock, wait = Clock(loop.time()), loop._selector.select

    def select(seconds: float | None) -> object:
        ready = wait(seconds and 0)
        if seconds and not ready:
            clock.advance(seconds)
        return ready

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", clock)
        patch.setattr(loop._selector, "select", select)
        yield clock
