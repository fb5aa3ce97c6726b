"""By when a request has to be answered, wherever its time goes: upload, queues, storage, the tool, the stream.

The Functions host gives an invocation `functionTimeout` (host.json). After it the host ends the worker, and with it the
calls of everybody whom that instance serves; so the engine ends a request of its own, well before.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass

REQUEST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """`seconds` after the request began, which is `at` on the clock of the event loop."""

    at: float
    seconds: float

    @property
    def has_passed(self) -> bool:
        return asyncio.get_running_loop().time() >= self.at


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def begin_deadline(seconds: float) -> None:
    """Says that the current context, and the tasks it starts from now on, has so many seconds."""
    _current.set(Deadline(at=asyncio.get_running_loop().time() + seconds, seconds=seconds))


def current_deadline() -> Deadline | None:
    """That of the request which this code runs for; None outside of one."""
    return _current.get()
