"""The runtime's table of open invocations, kept free of entries that nobody would ever take.

The host announces a request twice: as an invocation over gRPC, and as the proxied HTTP request itself. The runtime's
coordinator lets whichever comes first wait for the other, without a limit, and never removes what it wrote down. One
half that stays away would therefore hang the other half for ever, and every request would leak about 2 KB: a denial of
service that needs no credentials (azure_functions_runtime 1.3.0, http_v2.py).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from entra_mcp.errors import EntraMcpError

if TYPE_CHECKING:
    from collections.abc import Generator


class Coordinator(Protocol):
    """What is used of azure_functions_runtime's HttpCoordinator, which has no annotations."""

    # It has no method that lists or removes entries, so its table is the only way to do either.
    _context_references: Any

    def set_http_request(self, invoc_id: str, http_request: object) -> None: ...


class _Entry(Protocol):
    http_request: object
    http_request_available_event: asyncio.Event
    http_response_available_event: asyncio.Event


class InvocationAlreadyOpen(EntraMcpError):  # noqa: N818 - it names a state, not a fault of this process
    """Two requests carry the same invocation id; the second must not take the first one's answer."""

    def __init__(self, invocation_id: str) -> None:
        super().__init__(f"invocation {invocation_id} already has a request")
        self.invocation_id = invocation_id


class OpenInvocations:
    """Claims invocations for requests, and ends those whose request stays away for `patience` seconds."""

    def __init__(self, coordinator: Coordinator, *, patience: float) -> None:
        self._coordinator = coordinator
        table = coordinator._context_references  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see Coordinator
        self._table = cast("dict[str, _Entry]", table)
        self._patience = patience
        self._claimed: set[str] = set()
        self._abandoned: set[str] = set()
        self._waiting_since: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._table)

    @contextmanager
    def claim(self, invocation_id: str) -> Generator[None]:
        """Hold the invocation for one request; its entry is gone afterwards, however the block ends.

        The entry stays a little longer only where the function still runs: the runtime raises KeyError when it finds
        no entry to put the result into, and an invocation that raises is never reported back to the host.
        """
        if invocation_id in self._claimed:
            raise InvocationAlreadyOpen(invocation_id)
        self._claimed.add(invocation_id)
        self._abandoned.discard(invocation_id)
        try:
            yield
        finally:
            self._claimed.discard(invocation_id)
            entry = self._table.get(invocation_id)
            if entry is not None and _function_runs(entry):
                self._abandoned.add(invocation_id)
            else:
                self._table.pop(invocation_id, None)

    async def expire(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._patience / 5)
            self.sweep(now=asyncio.get_running_loop().time())

    def sweep(self, *, now: float) -> None:
        """End the invocations that have waited for longer than the patience, and drop what has come to its end."""
        for invocation_id in [key for key in self._abandoned if self._has_ended(key)]:
            self._abandoned.discard(invocation_id)
            self._table.pop(invocation_id, None)
        waiting = {key for key, entry in self._table.items() if not entry.http_request_available_event.is_set()}
        self._waiting_since = {key: self._waiting_since.get(key, now) for key in waiting}
        for invocation_id, since in self._waiting_since.items():
            if now - since >= self._patience:
                # Waking the runtime without a request makes its wait end with an error of its own, which it reports
                # to the host as a failed invocation. The next sweep then drops the entry.
                self._coordinator.set_http_request(invocation_id, None)
                self._abandoned.add(invocation_id)

    def _has_ended(self, invocation_id: str) -> bool:
        entry = self._table.get(invocation_id)
        return entry is None or entry.http_response_available_event.is_set()


def _function_runs(entry: _Entry) -> bool:
    taken = entry.http_request_available_event.is_set() and entry.http_request is None
    return taken and not entry.http_response_available_event.is_set()
