"""Lets in as many exchanges at once as this process can finish; the others wait their turn.

Overload is not an outage. When everybody comes at once, work that is begun for all of them ends in time for nobody; it
is done again when they try again, and the overload feeds itself. So an exchange waits before it has begun, and what
would wait too long is refused before anything of it is used.

Threat: a stranger needs no account to send more exchanges than there are turns and places, and to go on with that. So
each network has a line of its own, the lines are served in turn, and where all places are taken the longest line loses
its newest. One network may have all of them while nobody else wants any: many people can sit behind one address.

Threat: whoever sends them need not stay for the answers. An exchange whose client leaves while it waits leaves its
line, and never begins.

Threat: a client id can be the address of a document on a server that never answers. An exchange that waits for one
gives up its turn, and waits for another one when the document is there: otherwise strangers would hold all turns with a
few such ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from entra_mcp.errors import EntraMcpError
from entra_mcp.request import REQUEST, asking_network
from entra_mcp.web.answers import unavailable
from entra_mcp.web.paths import CALLBACK, TOKEN

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXCHANGES = frozenset({TOKEN, CALLBACK})
"""Where a code or a refresh token is redeemed, here or at Entra ID."""

MAX_CONCURRENT = 16
"""An exchange takes about 20 ms of a processor: all of these end within a second and a half on a quarter of one."""

MAX_WAITING = 240
"""What a quarter of a processor can finish within `WAIT_SECONDS`."""

WAIT_SECONDS = 20.0
"""How long one waits for its turn; clients give up an answer after 30 s and more."""

RETRY_SECONDS = 10

TOO_MANY = "Too many people sign in at this moment. Try again a little later; you stay signed in."

logger = logging.getLogger(__name__)


class ExchangeQueue:
    """Answers 503 with `Retry-After` when too many wait already, or when its turn does not come in time.

    Stands behind what reads the body: all that comes after it is that the client has left.
    """

    def __init__(
        self, app: ASGIApp, *, at_once: int = MAX_CONCURRENT, waiting: int = MAX_WAITING, seconds: float = WAIT_SECONDS
    ) -> None:
        self.app = app
        self._turns = Turns(at_once=at_once, waiting=waiting)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in EXCHANGES:
            await self.app(scope, receive, send)
            return
        turn = Turn(self._turns, receive, seconds=self._seconds)
        try:
            if await turn.begin():
                if (request := REQUEST.get()) is not None:
                    request.turn = turn
                await self.app(scope, turn.receive, send)
            elif not turn.client_has_left:
                logger.warning("%s %s answered 503: %d wait already.", scope["method"], scope["path"], len(self._turns))
                await unavailable(TOO_MANY, retry_seconds=RETRY_SECONDS)(scope, receive, send)
        finally:
            turn.end()


class NoTurnError(EntraMcpError):
    """More exchanges wait than this process can finish in time."""


class Turns:
    """How many are free, and who waits for one."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._free = at_once
        self._max_waiting = waiting
        self._lines: dict[str, deque[asyncio.Future[bool]]] = {}
        """By network, none of them empty; the first one gets the next turn."""

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._lines.values()))

    def ask(self, network: str) -> asyncio.Future[bool]:
        """Returns whether there is a turn, once that is known."""
        place = asyncio.get_running_loop().create_future()
        if self._free:
            self._free -= 1
            place.set_result(True)
            return place
        self._lines.setdefault(network, deque()).append(place)
        if len(self) > self._max_waiting:
            # Of several that are as long, its own: nobody who waits already gives way to somebody with as many places.
            longest = max((network, *self._lines), key=lambda each: len(self._lines[each]))
            newest = self._lines[longest][-1]
            self.leave(longest, newest)
            newest.set_result(False)
        return place

    def leave(self, network: str, place: asyncio.Future[bool]) -> None:
        """Gives up a place in the line."""
        self._lines[network].remove(place)
        if not self._lines[network]:
            del self._lines[network]

    def end(self) -> None:
        """Gives a turn to the next network, which goes behind the others with what is left of its line."""
        if not self._lines:
            self._free += 1
            return
        network = next(iter(self._lines))
        line = self._lines.pop(network)
        line.popleft().set_result(True)
        if line:
            self._lines[network] = line


class Turn:
    """That of one exchange, which may give it up and wait for another one."""

    def __init__(self, turns: Turns, receive: Receive, *, seconds: float) -> None:
        self.client_has_left = False
        """While it waited."""
        self._turns = turns
        self._network = asking_network()
        self._seconds = seconds
        self._receive = receive
        self._received: deque[Message] = deque()
        self._has_begun = False

    async def begin(self) -> bool:
        """Waits for it; returns whether it has begun."""
        place = self._turns.ask(self._network)
        leaving = asyncio.create_task(self._leaving())
        try:
            if not place.done():
                await asyncio.wait((place, leaving), timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.client_has_left = leaving.done()
            leaving.cancel()
            if place.done():
                self._has_begun = place.result()
            else:
                self._turns.leave(self._network, place)
        if self.client_has_left:
            self.end()
        return self._has_begun

    def end(self) -> None:
        """Gives it to the next one."""
        if self._has_begun:
            self._has_begun = False
            self._turns.end()

    async def receive(self) -> Message:
        """Returns what came while it waited, then what comes."""
        return self._received.popleft() if self._received else await self._receive()

    async def _leaving(self) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            self._received.append(message)


def end_turn() -> None:
    """Gives up the turn of the running exchange, while it waits for what a stranger chose."""
    request = REQUEST.get()
    if request is not None and request.turn is not None:
        request.turn.end()


async def begin_turn() -> None:
    """Waits for another turn, which is no silence of anything else.

    Raises:
        NoTurnError: too many wait, it does not come in time, or the client has left.
    """
    request = REQUEST.get()
    if request is None or request.turn is None:
        return
    silence = request.silence
    if silence is not None:
        silence.paused = True
    try:
        if not await request.turn.begin():
            raise NoTurnError(TOO_MANY)
    finally:
        if silence is not None:
            silence.paused = False
