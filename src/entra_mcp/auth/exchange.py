"""Storage as FastMCP's token endpoint should use it: nothing is lost to a failure half way.

FastMCP deletes the code that is being exchanged before it has written all that replaces it, so one failed write strands
the client. Here what was used stays until it expires: the ledger decides single use (single_use.py), and a deletion
after it could only turn a success into an error. A token set is written by the login that made it; from
then on it is only changed, so that one which was revoked meanwhile stays revoked.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper
from mcp.server.auth.provider import TokenError

from entra_mcp.errors import StorageError
from entra_mcp.storage.collections import AUTHORIZATION_CODES, TRANSACTIONS, UPSTREAM_TOKENS
from entra_mcp.web.time_limits import lift_silence_limit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType

    from entra_mcp.storage.cache import CachedStore

KEPT = frozenset({AUTHORIZATION_CODES, TRANSACTIONS})
"""Stay until they expire, within minutes. A code that is presented again must differ from one that never was. A sign-in
that has come back from Entra ID cannot come back again, since Entra ID's code and the browser's cookie are used up."""

CODE_PAUSES = (0.3, 0.6, 1.2)
"""Seconds before each further attempt to write a code. Entra ID's own code, which is good once, has been redeemed for
it: what cannot be written is lost, and the person has to sign in again. The deadline of the request ends these too."""

logger = logging.getLogger(__name__)


class TokenExchange:
    """Which token set one exchange wrote; runs as a context manager.

    Written out, since a context manager from a generator breaks the SDK's errors, which are frozen.
    """

    def __init__(self, running: ContextVar[TokenExchange | None], *, new_login: bool) -> None:
        self.new_login = new_login
        self.written: str | None = None
        self._running = running
        self._token: Token[TokenExchange | None] | None = None

    def __enter__(self) -> Self:
        self._token = self._running.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            self._running.reset(self._token)

    @property
    def token_set(self) -> str:
        """The id of the token set that the exchange made or changed."""
        if self.written is None:
            raise LookupError("the exchange has not written a token set")
        return self.written


class ExchangeStore(BaseWrapper):
    """Wraps the store that FastMCP's OAuth proxy uses."""

    def __init__(self, store: CachedStore) -> None:
        self.key_value = self._store = store
        self._running: ContextVar[TokenExchange | None] = ContextVar("exchange", default=None)

    def exchange(self, *, new_login: bool) -> TokenExchange:
        """Returns a new exchange; `new_login` is one that may make a token set."""
        return TokenExchange(self._running, new_login=new_login)

    @property
    def running(self) -> TokenExchange | None:
        """The exchange that this code runs for."""
        return self._running.get()

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        # An exchange replaces what it reads, so it builds on what is stored, not on what this instance remembers.
        get = self._store.get if self.running is None else self._store.get_stored
        return await get(key, collection=collection)

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        exchange = self.running
        if collection == UPSTREAM_TOKENS and not (exchange and exchange.new_login):
            if not await self._store.put_if_present(key, value, collection=collection, ttl=ttl):
                raise TokenError("invalid_grant", "The sign-in was revoked.")
        elif collection == AUTHORIZATION_CODES:
            await self._put_patiently(key, value, collection=collection, ttl=ttl)
            lift_silence_limit()
        else:
            await self.key_value.put(key, value, collection=collection, ttl=ttl)
        if exchange is not None and collection == UPSTREAM_TOKENS:
            exchange.written = key

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        return collection in KEPT or await self.key_value.delete(key, collection=collection)

    async def _put_patiently(
        self, key: str, value: Mapping[str, Any], *, collection: str, ttl: SupportsFloat | None
    ) -> None:
        for pause in CODE_PAUSES:
            try:
                await self.key_value.put(key, value, collection=collection, ttl=ttl)
            except StorageError as error:
                logger.warning("Writing a row of %s is tried again in %.1f s: %s", collection, pause, error)
                await asyncio.sleep(pause)
            else:
                return
        await self.key_value.put(key, value, collection=collection, ttl=ttl)
