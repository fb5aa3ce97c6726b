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

from azure_functions_runtime.http_v2 import http_coordinator
from cachetools import FIFOCache

from entra_mcp.errors import EntraMcpError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SWEEPS = 5
"""How often a half is looked at before it is given up."""

REMEMBERED = 1000
"""How many of those that were given up are remembered, so that their late halves are answered at once."""


coordinator = cast("Any", http_coordinator)
"""The runtime's, which has no annotations."""


class _Entry(Protocol):
    http_request: object
    http_request_available_event: asyncio.Event
    http_response_available_event: asyncio.Event


class InvocationTaken(EntraMcpError):  # noqa: N818 - it names a state, not a fault of this process
    """Another request has or had this invocation id; a second one must not take the first one's answer."""


class InvocationGivenUp(EntraMcpError):  # noqa: N818 - as above
    """The other half of this invocation has been waited for, and has been answered or ended."""


class OpenInvocations:
    """Joins requests and invocations, and gives up the half whose other half stays away for `patience` seconds.

    Patience is counted in sweeps, not read from a clock: while the event loop is busy, and sees neither half, no time
    passes here. `absent` creates what an invocation gets in the place of its request.
    """

    def __init__(self, *, patience: float, absent: Callable[[str], object]) -> None:
        # The coordinator has no method that lists or removes entries, so its table is the only way to do either.
        self._table: dict[str, _Entry] = coordinator._context_references  # noqa: SLF001 - see docs/upgrade.md
        self._patience = patience
        self._absent = absent
        self._claimed: set[str] = set()
        self._waiting: dict[str, Callable[[], None]] = {}
        self._abandoned: set[str] = set()
        self._sweeps: dict[str, int] = {}
        self._given_up: FIFOCache[str, None] = FIFOCache(REMEMBERED)

    def __len__(self) -> int:
        return len(self._table)

    @contextmanager
    def claim(self, invocation_id: str, *, give_up: Callable[[], None]) -> Generator[None]:
        """Hold the invocation for one request; its entry is gone afterwards, however the block ends.

        `give_up` is called when the invocation stays away, unless `taken` was called before. The entry stays a little
        longer only where the function still runs: the runtime raises KeyError when it finds no entry to put the result
        into, and an invocation that raises is never reported back to the host.
        """
        if invocation_id in self._given_up:
            raise InvocationGivenUp(invocation_id)
        if invocation_id in self._claimed:
            raise InvocationTaken(invocation_id)
        self._claimed.add(invocation_id)
        self._waiting[invocation_id] = give_up
        self._abandoned.discard(invocation_id)
        try:
            yield
        finally:
            self._claimed.discard(invocation_id)
            self._waiting.pop(invocation_id, None)
            entry = self._table.get(invocation_id)
            if entry is not None and _function_runs(entry):
                self._abandoned.add(invocation_id)
            else:
                self._table.pop(invocation_id, None)

    def taken(self, invocation_id: str) -> None:
        """Both halves have met; from now on the function takes its time."""
        self._waiting.pop(invocation_id, None)

    async def expire(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._patience / SWEEPS)
            self.sweep()

    def sweep(self) -> None:
        """Give up what has waited for too many sweeps, and drop what has come to its end."""
        for invocation_id in [key for key in self._abandoned if self._has_ended(key)]:
            self._abandoned.discard(invocation_id)
            self._table.pop(invocation_id, None)
        alone = {key for key, entry in self._table.items() if not entry.http_request_available_event.is_set()}
        self._sweeps = {key: self._sweeps.get(key, 0) + 1 for key in alone | self._waiting.keys()}
        for invocation_id in [key for key, sweeps in self._sweeps.items() if sweeps >= SWEEPS or key in self._given_up]:
            self._given_up[invocation_id] = None
            if invocation_id in alone:
                coordinator.set_http_request(invocation_id, self._absent(invocation_id))
                self._abandoned.add(invocation_id)
            else:
                self._waiting.pop(invocation_id)()

    def _has_ended(self, invocation_id: str) -> bool:
        entry = self._table.get(invocation_id)
        return entry is None or entry.http_response_available_event.is_set()


def _function_runs(entry: _Entry) -> bool:
    taken = entry.http_request_available_event.is_set() and entry.http_request is None
    return taken and not entry.http_response_available_event.is_set()
