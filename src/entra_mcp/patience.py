"""Deadlines that count how long something else is silent, not how long this process takes to listen.

A process that has more to do than its processor can carry reads answers late that came in time. A deadline that counts
those seconds too ends work that is nearly done, which is then done again: the overload feeds itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

BEAT_SECONDS = 0.02
"""A deadline advances by so much at a time, however late the event loop is by then."""


class Patience:
    """Ends its block with `TimeoutError` after so many seconds, as `asyncio.timeout` does.

    Written out, since a context manager from a generator breaks the SDK's errors, which are frozen.
    """

    def __init__(self, seconds: float) -> None:
        self.paused = False
        """Whether the time that passes does not count."""
        self._left = seconds
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    @property
    def expired(self) -> bool:
        return self._limit.expired()

    def lift(self) -> float:
        """Lets the block take as long as it wants, unless it is being ended already.

        Returns how many seconds it had left.
        """
        if self._timer is not None:
            self._timer.cancel()
        if not self._limit.expired():
            self._limit.reschedule(None)
        return max(self._left, 0.0)

    def _wait(self) -> None:
        step = min(self._left, BEAT_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(step, self._advance, step)

    def _advance(self, step: float) -> None:
        self._left -= 0 if self.paused else step
        if self._left > 0:
            self._wait()
        else:
            self._limit.reschedule(asyncio.get_running_loop().time())
