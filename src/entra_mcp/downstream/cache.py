"""Tokens that were acquired for callers, each kept for its life and acquired once for all who wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from entra_mcp.cancellation import leave

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_TOKENS = 1_000
MARGIN_SECONDS = 120
"""A token that ends so soon is not handed out: it has to last for the request it is for."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Whose token it is and what for: the digest of the caller's verified token, and the scopes.

    The digest stands for one sign-in of one user. A key of user and scopes alone would let a sign-in without a second
    factor use a token that was given to one with it.
    """

    assertion: str
    scopes: tuple[str, ...]

    @property
    def question(self) -> str:
        """What the question for the consent is called.

        A client learns the name when it is asked, and cannot guess it: it does not know the token that was verified.
        """
        return f"entra_consent_{hashlib.sha256(f'{self.assertion} {self.scopes}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and when it ends, in seconds since 1970."""

    value: str = field(repr=False)
    expires_at: float


@dataclass(slots=True)
class CacheCounts:
    """What the cache did since then, in seconds since 1970."""

    since: float
    hits: int = 0
    exchanges: int = 0


class TokenCache:
    """Holds at most `max_tokens`; the one that was not used for longest goes first."""

    def __init__(self, *, max_tokens: int = MAX_TOKENS, clock: Callable[[], float] = time.time) -> None:
        self.counts = CacheCounts(since=clock())
        self._tokens: TLRUCache[TokenKey, Token] = TLRUCache(
            max_tokens, ttu=lambda _key, token, _now: token.expires_at - MARGIN_SECONDS, timer=clock
        )
        self._flights: dict[tuple[TokenKey, str], asyncio.Task[Token]] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    async def get(self, key: TokenKey, acquire: Callable[[], Awaitable[Token]], *, claims: str = "") -> str:
        """Returns the token, from memory or from `acquire`, of which one runs for a key and its `claims` at a time.

        Whoever waits may be cancelled; the acquisition goes on for the others, so it must end by itself.
        """
        token = self._tokens.get(key)
        if token is not None:
            self.counts.hits += 1
            return token.value
        flight = self._flights.get((key, claims))
        if flight is None:
            flight = self._flights[key, claims] = asyncio.create_task(self._acquire(key, acquire, claims))
            leave(flight)
        return (await asyncio.shield(flight)).value

    def drop(self, key: TokenKey, value: str) -> None:
        """Forgets a token that was refused, unless another one has taken its place."""
        token = self._tokens.get(key)
        if token is not None and token.value == value:
            self._tokens.pop(key, None)

    async def aclose(self) -> None:
        """Ends the acquisitions that nobody waits for any more."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _acquire(self, key: TokenKey, acquire: Callable[[], Awaitable[Token]], claims: str) -> Token:
        try:
            self.counts.exchanges += 1
            token = await acquire()
            # One that was acquired meanwhile stays: an API demanded more of it.
            if claims or key not in self._tokens:
                self._tokens[key] = token
        finally:
            del self._flights[key, claims]
        return token
