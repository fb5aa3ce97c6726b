"""Keeps log lines that the Functions host would drop, until it takes them.

The host accepts a line of an application only while the invocation that it belongs to runs
(https://github.com/Azure/azure-functions-host, GrpcWorkerChannel). The start-up, what runs beside the requests, and
work that outlives the request which began it, have none. Their lines wait here for the next invocation.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast, override

from azure_functions_runtime import invocation_id_cv

if TYPE_CHECKING:
    from collections.abc import Generator

KEPT_LINES = 200
"""The newest are kept: an instance without requests logs a line every few minutes at most."""

SYSTEM = ("azure.functions", "azure_functions")
"""How the names of the loggers of worker and runtime begin, whose lines the host takes at any time."""

logger = logging.getLogger(__name__)

_invocation_id = cast("ContextVar[str | None]", invocation_id_cv)


@dataclass(slots=True)
class _Invocation:
    """One that runs an application; what runs beside the requests belongs to one that has ended."""

    ended: bool = False


_invocation: ContextVar[_Invocation | None] = ContextVar("invocation", default=None)


def belong_to_no_invocation() -> None:
    """Says that the current context, and the tasks it starts from now on, works for no invocation."""
    _invocation_id.set(None)
    _invocation.set(_Invocation(ended=True))


@contextmanager
def kept_lines_at_the_end() -> Generator[None]:
    """Logs the kept lines in an invocation without a request: an instance may never get one of the others."""
    try:
        yield
    finally:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LogLines):
                handler.log_kept()


class LogLines(logging.Handler):
    """Logs the kept lines a second time when an invocation begins, and before one ends."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[logging.LogRecord] = deque(maxlen=KEPT_LINES)

    @contextmanager
    def invocation(self, invocation_id: str) -> Generator[None]:
        """Says that the block is this invocation."""
        invocation = _Invocation()
        id_token, token = _invocation_id.set(invocation_id), _invocation.set(invocation)
        try:
            self.log_kept()
            yield
        finally:
            self.log_kept()
            invocation.ended = True
            _invocation.reset(token)
            _invocation_id.reset(id_token)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        invocation = _invocation.get()
        if invocation is not None and invocation.ended and not record.name.startswith(SYSTEM):
            self._kept.append(record)

    def log_kept(self) -> None:
        """Logs them in the invocation that runs."""
        if not self._kept:
            return
        since = datetime.fromtimestamp(self._kept[0].created, UTC)
        logger.info("%d lines follow that were logged beside requests since %s.", len(self._kept), f"{since:%H:%M:%S}Z")
        while self._kept:
            record = self._kept.popleft()
            logging.getLogger(record.name).handle(record)
