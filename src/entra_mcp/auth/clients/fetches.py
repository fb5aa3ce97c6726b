"""Where documents of clients are fetched: on an event loop and with name look-ups of their own.

Threat: anybody can make this server look up and fetch a name of their choosing. A look-up runs in a thread, and goes on
there when nobody waits for it any more. A few names whose servers never answer would occupy every thread that the
process has for names. Table Storage, Key Vault and Entra ID could not be found for that long. FastMCP refuses addresses
that are not public, but does not know the one at which Azure serves its virtual machines, which counts as public
(https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any, override

from entra_mcp.errors import EntraMcpError
from entra_mcp.patience import Patience
from entra_mcp.request import asking_network
from entra_mcp.web.exchange_queue import begin_turn, end_turn

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from entra_mcp.web.rate_limits import TokenBuckets

WIRE_SERVER = IPv4Address("168.63.129.16")

LOOKUPS_AT_ONCE = 32
LOOKUPS_OF_ONE_NETWORK = 4
"""So that one network leaves places for the others, however long its names take; the rest of its own wait."""

FETCHES_AT_ONCE = 64
FETCHES_OF_ONE_NETWORK = 4
WAITING_OF_ONE_NETWORK = 16
"""How many of one network may wait for a place; more are refused at once."""

SOON_SECONDS = 0.05
"""What is in memory is there by then."""


class TooManyLookupsError(EntraMcpError):
    """Strangers have had as many names looked up as this server does in a minute, or too many of their fetches wait."""


class NameLookups(ThreadPoolExecutor):
    """Runs what an event loop has its executor run, which is name look-ups; refuses what leads to the platform.

    Whatever FastMCP connects to is an address that it got from here, so there is no second look-up that could lead
    elsewhere.
    """

    def __init__(self, *, by_network: TokenBuckets, overall: TokenBuckets) -> None:
        super().__init__(max_workers=LOOKUPS_AT_ONCE, thread_name_prefix="client-documents")
        self._by_network = by_network
        self._overall = overall
        self._running = Counter[str]()
        self._waiting = defaultdict[str, deque[Callable[[], None]]](deque)
        self._counting = threading.Lock()

    @override
    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submits a look-up.

        Raises:
            TooManyLookupsError: the network that the request came from, or all of them together, have had theirs.
        """
        asking = asking_network()
        # In this order, so that one network cannot use up what is for all.
        if self._by_network.take(asking) or self._overall.take():
            raise TooManyLookupsError("too many names of clients are looked up at this moment")
        found = Future[T]()
        with self._counting:
            self._waiting[asking].append(lambda: _look_up(found, fn, *args, **kwargs))
        self._begin(asking)
        return found

    def _begin(self, asking: str) -> None:
        """Begins the network's next look-up, if there is one and it has a place."""
        with self._counting:
            waiting = self._waiting[asking]
            if not waiting:
                del self._waiting[asking]
            if not waiting or self._running[asking] >= LOOKUPS_OF_ONE_NETWORK:
                return
            self._running[asking] += 1
            lookup = waiting.popleft()
        with suppress(RuntimeError):  # after the end
            super().submit(self._run, asking, lookup)

    def _run(self, asking: str, lookup: Callable[[], None]) -> None:
        lookup()
        with self._counting:
            self._running.subtract([asking])
            self._running = +self._running
        self._begin(asking)


def _look_up[T](found: Future[T], lookup: Callable[..., T], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as below
    if not found.set_running_or_notify_cancel():
        return
    try:
        found.set_result(_not_the_platform(lookup, *args, **kwargs))
    except BaseException as error:  # noqa: BLE001 - it is for whoever waits
        found.set_exception(error)


def _not_the_platform(lookup: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever a look-up takes and returns
    found = lookup(*args, **kwargs)
    # Addresses of version 6 can stand for one of version 4 in several ways; each holds its bytes.
    if any(WIRE_SERVER.packed in ip_address(address[0].partition("%")[0]).packed for *_, address in found):
        raise socket.gaierror(socket.EAI_NONAME, "an address of the platform")
    return found


@dataclass(slots=True)
class _Network:
    """What one network has fetched."""

    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FETCHES_OF_ONE_NETWORK))
    fetches: int = 0
    """That run or wait."""


class ClientFetches:
    """Runs fetches on an event loop in a thread, which starts with the first one."""

    def __init__(self, *, by_network: TokenBuckets, overall: TokenBuckets) -> None:
        """The buckets hold name look-ups, which one network and all of them together may cause."""
        self._lookups = NameLookups(by_network=by_network, overall=overall)
        self._slots = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._networks: dict[str, _Network] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def run[T](self, fetch: Callable[[], Coroutine[Any, Any, T]], *, seconds: float) -> T:
        """Returns what the fetch returns. Where that is not in memory, the request gives up its turn meanwhile.

        Raises:
            TimeoutError: it has not ended in time, the wait for a place included.
            TooManyLookupsError: too many of its network wait already.
            NoTurnError: it is here, and another turn does not come in time.
        """
        asking = asking_network()
        of_network = self._networks.setdefault(asking, _Network())
        if of_network.fetches >= FETCHES_OF_ONE_NETWORK + WAITING_OF_ONE_NETWORK:
            raise TooManyLookupsError("too many documents of clients are fetched at this moment")
        of_network.fetches += 1
        fetching = asyncio.create_task(self._fetch(fetch, of_network, seconds))
        try:
            with suppress(TimeoutError):
                async with Patience(SOON_SECONDS):
                    await asyncio.wait((fetching,))
            if fetching.done():
                return fetching.result()
            end_turn()
            found = await fetching
        finally:
            fetching.cancel()
            of_network.fetches -= 1
            if not of_network.fetches:
                del self._networks[asking]
        await begin_turn()
        return found

    async def _fetch[T](self, fetch: Callable[[], Coroutine[Any, Any, T]], of_network: _Network, seconds: float) -> T:
        async with Patience(seconds), of_network.places, self._slots:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fetch(), self._running()))

    def close(self) -> None:
        """Ends the thread; a look-up that hangs in another one is left to end by itself."""
        self._lookups.shutdown(wait=False, cancel_futures=True)
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop.set_default_executor(self._lookups)
            self._thread = threading.Thread(target=self._loop.run_forever, name="client-documents", daemon=True)
            self._thread.start()
        return self._loop
