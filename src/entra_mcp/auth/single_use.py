"""Authorization codes and refresh tokens are good for one use, on whatever instance, and no failure wastes that use.

The ledger decides who uses one. A code that is used again is refused, and what its first use got is revoked (RFC 6749
section 4.1.2): one of the two who had it should not have.

A refresh token that is used again gets the successor that the first use got, if the successor was not used itself: its
client lost the response, or two processes share one sign-in. Once the successor was used, somebody has gone on, and
whoever comes with the old token is somebody else: the sign-in ends (RFC 9700 section 4.14.2). Within the grace window
the successor is given in any case. The ledger's row of the successor shows whether it was used.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcp.server.auth.provider import TokenError
from mcp.shared.auth import OAuthToken

from entra_mcp import audit
from entra_mcp.audit import Event
from entra_mcp.auth.proxy_store import EXCHANGE, TokenExchange
from entra_mcp.errors import StorageError
from entra_mcp.patience import Patience
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.storage.ledger import Redemption
from entra_mcp.telemetry.metrics import Grant
from entra_mcp.web.time_limits import lift_silence_limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from key_value.aio.protocols import AsyncKeyValue
    from mcp.server.auth.provider import RefreshToken

    from entra_mcp.storage.ledger import Lease, Ledger
    from entra_mcp.telemetry import Metrics

CODE = "authorization-code"
IDENTITY_ASSERTION = "identity-assertion"
REFRESH_TOKEN = "refresh-token"  # noqa: S105 - the name of a kind of lease

EXCHANGE_SECONDS = 3.0
"""For one exchange, Entra ID included; a client that gets no answer in time is asked to try again."""

SETTLE_SECONDS = 0.6
"""For writing down that it was used, besides what the exchange has left of its time."""

MAX_SETTLE_SECONDS = 2.5
"""Shorter than a lease that was renewed `RENEW_SECONDS` ago: nobody takes it over meanwhile."""

RELEASE_SECONDS = 0.4
"""For releasing a lease, after which it is left to run out."""

LEASE_SECONDS = 4.0
"""How long after a crash in the middle of an exchange nobody can repeat it."""

RENEW_SECONDS = 1.0
"""How often an exchange that is slow, as all are in a process that has too much to do, keeps its lease from others."""

CODE_LIFETIME_SECONDS = 600.0
"""How long the use of a code or an assertion is remembered: longer than it can be used itself."""

DUPLICATE_SECONDS = 15.0
"""A code that comes twice within this time is refused, without revoking: some browser clients send it twice at once,
and a client that was asked to try again does so after `RETRY_SECONDS` of the outage middleware."""

logger = logging.getLogger(__name__)


class SingleUse:
    """Lets an exchange of a code or a token happen once, gives later comers its outcome, and counts how it ends."""

    def __init__(self, *, ledger: Ledger, store: AsyncKeyValue, metrics: Metrics, grace_seconds: float) -> None:
        self._ledger = ledger
        self._store = store
        self._metrics = metrics
        self._grace_seconds = grace_seconds

    def sign_in(self) -> str:
        """Returns the id of the sign-in whose code or token is being exchanged: that of its token set."""
        exchange = EXCHANGE.get()
        if exchange is None or exchange.token_set is None:
            raise LookupError("no exchange has written a token set")
        return exchange.token_set

    async def redeem(self, kind: str, value: str, exchange: Callable[[], Awaitable[OAuthToken]]) -> OAuthToken:
        """Exchanges a code, or an identity assertion by its issuer and id (RFC 7523 section 3, claim `jti`).

        A later second use of a code ends the sign-in (RFC 6749 section 4.1.2).

        Raises:
            TokenError: it was used before.
            StorageError: nobody knows yet what will come of it; the same request may succeed later.
        """
        with self._metrics.granting(Grant.SIGN_IN):
            found = await self._acquire(kind, value, CODE_LIFETIME_SECONDS)
            if isinstance(found, Redemption):
                self._replayed(kind, found, answer="refused")
                if kind == CODE and found.age > DUPLICATE_SECONDS:
                    await self.revoke(found.outcome, because="an authorization code was used again")
                raise TokenError("invalid_grant", f"The {kind.replace('-', ' ')} was used before.")
            tokens = await self._run(found, exchange, new_login=True)
            audit.record(Event.SIGN_IN)
            return tokens

    async def rotate(
        self, token: RefreshToken, exchange: Callable[[], Awaitable[OAuthToken]], *, expires_in: float
    ) -> OAuthToken:
        """Exchanges a refresh token, whose own validity ends in `expires_in` seconds.

        Raises:
            TokenError: the sign-in has ended, or ends now because the successor of the token was used already.
            StorageError: nobody knows yet what will come of it; the same request may succeed later.
        """
        with self._metrics.granting(Grant.REFRESH):
            found = await self._acquire(REFRESH_TOKEN, token.token, max(expires_in, 1.0))
            if not isinstance(found, Redemption):
                tokens = await self._run(found, exchange, new_login=False)
                audit.record(Event.REFRESH)
                return tokens
            if not await self._is_signed_in(found):
                self._replayed(REFRESH_TOKEN, found, answer="refused")
                raise TokenError("invalid_grant", "The sign-in has ended.")
            successor = OAuthToken.model_validate(found.outcome["tokens"])
            if found.age > self._grace_seconds and await self._was_used(successor):
                self._replayed(REFRESH_TOKEN, found, answer="refused")
                await self.revoke(found.outcome, because="a refresh token was used again")
                raise TokenError("invalid_grant", "The refresh token was used before.")
            self._replayed(REFRESH_TOKEN, found, answer="successor")
            if successor.expires_in is not None:
                successor.expires_in = max(successor.expires_in - int(found.age), 1)
            return successor

    async def _is_signed_in(self, use: Redemption) -> bool:
        """Whether the sign-in that a use belongs to goes on; the time to live is never read from a cache."""
        token_set = use.outcome.get("token_set")
        if token_set is None:
            return False
        value, _ = await self._store.ttl(token_set, collection=UPSTREAM_TOKENS)
        return value is not None

    async def _was_used(self, tokens: OAuthToken) -> bool:
        return await self._ledger.look_up(REFRESH_TOKEN, tokens.refresh_token or "") is not None

    async def revoke(self, outcome: Mapping[str, Any], *, because: str) -> None:
        """Ends the sign-in that a use led to: every access and refresh token of it, on every instance."""
        token_set = outcome.get("token_set")
        if token_set is not None and await self._store.delete(token_set, collection=UPSTREAM_TOKENS):
            audit.record(Event.REVOCATION, user=outcome.get("user"), because=because)

    def _replayed(self, what: str, use: Redemption, *, answer: str) -> None:
        # Names the sign-in to whoever counts its lines, and is no key to it.
        sign_in = hashlib.sha256(str(use.outcome.get("token_set")).encode()).hexdigest()[:16]
        audit.record(
            Event.REPLAY,
            user=use.outcome.get("user"),
            sign_in=sign_in,
            what=what,
            answer=answer,
            seconds_later=round(use.age) if math.isfinite(use.age) else -1,
        )

    async def _acquire(self, kind: str, value: str, expires_in: float) -> Lease | Redemption:
        return await self._ledger.acquire(kind, value, seconds=LEASE_SECONDS, expires_in=expires_in)

    async def _run(self, lease: Lease, exchange: Callable[[], Awaitable[OAuthToken]], *, new_login: bool) -> OAuthToken:
        running = TokenExchange(new_login=new_login)
        try:
            tokens = await self._in_time(lease, running, exchange)
        except TimeoutError:
            await self._give_back(lease, running)
            raise StorageError("the exchange took too long") from None
        except BaseException:
            await self._give_back(lease, running)
            raise
        # From here on the use may be written down, and then the tokens are the answer.
        left = lift_silence_limit()
        outcome: dict[str, Any] = {"token_set": running.token_set, "user": audit.current_user()}
        if not new_login:
            outcome["tokens"] = tokens.model_dump(mode="json")
        try:
            async with Patience(min(SETTLE_SECONDS + left, MAX_SETTLE_SECONDS)):
                settled = await self._ledger.settle(lease, outcome)
        except (StorageError, TimeoutError):
            settled = False
        # Not settled means: another request has taken the lease over, or the answer did not come.
        if not settled and await self._give_back(lease, running):
            raise StorageError("the exchange could not be written down")
        return tokens

    async def _in_time(
        self, lease: Lease, running: TokenExchange, exchange: Callable[[], Awaitable[OAuthToken]]
    ) -> OAuthToken:
        """Runs the exchange, and keeps its lease from others meanwhile."""
        keeping = asyncio.create_task(self._keep(lease))
        outer = EXCHANGE.set(running)
        try:
            async with Patience(EXCHANGE_SECONDS):
                tokens = await exchange()
        finally:
            EXCHANGE.reset(outer)
            keeping.cancel()
        if running.token_set is None:
            raise LookupError("the exchange has written no token set, so nothing could end the sign-in")
        return tokens

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(StorageError):
                await self._ledger.renew(lease, seconds=LEASE_SECONDS)

    async def _give_back(self, lease: Lease, running: TokenExchange) -> bool:
        """Lets the same request succeed later, and leaves nothing behind of an answer that nobody got.

        Returns False when the use was written down after all: then it stays used, and nothing is undone.
        """
        try:
            async with Patience(RELEASE_SECONDS):
                if not await self._ledger.release(lease):
                    return False
                if running.new_login and running.token_set:
                    await self._store.delete(running.token_set, collection=UPSTREAM_TOKENS)
        except (StorageError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            logger.warning("A lease of %.0f s is left to run out: %s", LEASE_SECONDS, reason)
        return True
