"""Which request the code runs for: what ties an answer, its log lines and its audit line together."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trace:
    """One request, as answers and logs name it."""

    correlation_id: str
    """32 hexadecimal digits; the trace id of the Functions host when it sent one, so that its own logs match."""

    address: str
    """Where the request came from, as the platform saw it."""


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current_trace() -> Trace | None:
    """The request that this code runs for; None outside of one."""
    return _current.get()


def begin_trace(trace: Trace) -> None:
    """Says which request the current context, and the tasks it starts from now on, runs for."""
    _current.set(trace)
