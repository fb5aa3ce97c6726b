"""Lets in as many exchanges at once as this process can finish; the others wait their turn.

Overload is not an outage. When everybody comes at once, work that is begun for all of them ends in time for nobody; it
is done again when they try again, and the overload feeds itself. So an exchange waits before it has begun, and what
would wait too long is refused before anything of it is used.

Threat: a client id can be the address of a document on a server that never answers. An exchange that waits for one
gives up its turn, and waits for another one when the document is there: otherwise strangers would hold all turns with a
few such ids.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from entra_mcp.errors import EntraMcpError
from entra_mcp.request import REQUEST
from entra_mcp.web.answers import unavailable
from entra_mcp.web.paths import CALLBACK, TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

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
    """Answers 503 with `Retry-After` when too many wait already, or when its turn does not come in time."""

    def __init__(
        self, app: ASGIApp, *, at_once: int = MAX_CONCURRENT, waiting: int = MAX_WAITING, seconds: float = WAIT_SECONDS
    ) -> None:
        self.app = app
        # Wakes those who wait in the order in which they came.
        self._turns = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._max_waiting = waiting
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in EXCHANGES:
            await self.app(scope, receive, send)
            return
        if not await self._admitted():
            logger.warning("%s %s answered 503: %d wait already.", scope["method"], scope["path"], self._waiting)
            await unavailable(TOO_MANY, retry_seconds=RETRY_SECONDS)(scope, receive, send)
            return
        turn = Turn(self._turns, self._admitted)
        if (request := REQUEST.get()) is not None:
            request.turn = turn
        try:
            await self.app(scope, receive, send)
        finally:
            turn.end()

    async def _admitted(self) -> bool:
        if self._turns.locked() and self._waiting >= self._max_waiting:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await self._turns.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1


class NoTurnError(EntraMcpError):
    """More exchanges wait than this process can finish in time."""


class Turn:
    """One of the turns, which has begun."""

    def __init__(self, turns: asyncio.Semaphore, admitted: Callable[[], Awaitable[bool]]) -> None:
        self._turns = turns
        self._admitted = admitted
        self._has_begun = True

    def end(self) -> None:
        """Gives it to the next one."""
        if self._has_begun:
            self._has_begun = False
            self._turns.release()

    async def begin(self) -> None:
        """Waits for another one; see `begin_turn`."""
        self._has_begun = await self._admitted()
        if not self._has_begun:
            raise NoTurnError(TOO_MANY)


def end_turn() -> None:
    """Gives up the turn of the running exchange, while it waits for what a stranger chose."""
    request = REQUEST.get()
    if request is not None and request.turn is not None:
        request.turn.end()


async def begin_turn() -> None:
    """Waits for another turn, which is no silence of anything else.

    Raises:
        NoTurnError: too many wait, or it does not come in time.
    """
    request = REQUEST.get()
    if request is None or request.turn is None:
        return
    silence = request.silence
    if silence is not None:
        silence.paused = True
    try:
        await request.turn.begin()
    finally:
        if silence is not None:
            silence.paused = False
