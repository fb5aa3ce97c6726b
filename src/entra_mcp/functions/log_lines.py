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
_beside_requests: ContextVar[bool] = ContextVar("beside_requests", default=False)


def belong_to_no_invocation() -> None:
    """Says that the current context, and the tasks it starts from now on, works for no invocation."""
    _invocation_id.set(None)
    _beside_requests.set(True)


class LogLines(logging.Handler):
    """Logs the kept lines a second time when an invocation begins, and before one ends."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[str] = set()
        """The invocations that run an application."""
        self._kept: deque[logging.LogRecord] = deque(maxlen=KEPT_LINES)

    @contextmanager
    def invocation(self, invocation_id: str) -> Generator[None]:
        """Says that the block is this invocation."""
        token = _invocation_id.set(invocation_id)
        self.running.add(invocation_id)
        try:
            self._log_kept()
            yield
        finally:
            self._log_kept()
            self.running.discard(invocation_id)
            _invocation_id.reset(token)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        invocation_id = _invocation_id.get()
        late = _beside_requests.get() if invocation_id is None else invocation_id not in self.running
        if late and not record.name.startswith(SYSTEM):
            self._kept.append(record)

    def _log_kept(self) -> None:
        if not self._kept:
            return
        since = datetime.fromtimestamp(self._kept[0].created, UTC)
        logger.info("%d lines follow that were logged beside requests since %s.", len(self._kept), f"{since:%H:%M:%S}Z")
        while self._kept:
            record = self._kept.popleft()
            logging.getLogger(record.name).handle(record)
