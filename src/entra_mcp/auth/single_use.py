"""Authorization codes and refresh tokens are good for one use, on whatever instance, and no failure makes it none.

The ledger decides who uses one. A code that is used again is refused, and what its first use got is revoked (RFC 6749
section 4.1.2): one of the two who had it should not have. A refresh token that is used again within the grace window
gets the successor that the first use got: its client lost the response, or sent two requests at once. Used later, it
was stolen by somebody or from somebody, and the sign-in that it belongs to ends (OAuth 2.1 section 4.3.1).
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

from mcp.server.auth.provider import RefreshToken, TokenError
from mcp.shared.auth import OAuthToken

from entra_mcp.audit import Event
from entra_mcp.errors import StorageError
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.storage.ledger import Use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from entra_mcp.audit import Audit
    from entra_mcp.auth.exchange import Exchange, ExchangeStore
    from entra_mcp.storage.ledger import Claim, Ledger

CODE = "authorization-code"
REFRESH_TOKEN = "refresh-token"  # noqa: S105 - the name of a kind of claim

EXCHANGE_SECONDS = 3.0
"""For one exchange, Entra ID included; a client that gets no answer in time is told to try again."""

SETTLE_SECONDS = 0.8
RELEASE_SECONDS = 0.5
"""For giving a claim back, after which it is left to its lease."""

LEASE_SECONDS = 4.0
"""How long after a crash in the middle of an exchange nobody can repeat it; longer than an exchange may take."""

CODE_LIFETIME_SECONDS = 600.0
"""How long the use of a code is remembered: longer than the code itself can be used."""

AT_ONCE_SECONDS = 15.0
"""A code that comes twice within this time is refused, without revoking: some browser clients send it twice at once,
and a client that was told to try again does so after `RETRY_SECONDS` of the outage middleware."""

logger = logging.getLogger(__name__)


class SingleUse:
    """Lets an exchange of a code or a token happen once, and tells later comers what came of it."""

    def __init__(self, *, ledger: Ledger, store: ExchangeStore, grace_seconds: float, audit: Audit) -> None:
        self._ledger = ledger
        self._store = store
        self._grace_seconds = grace_seconds
        self._audit = audit

    async def redeem(self, code: str, exchange: Callable[[], Awaitable[OAuthToken]]) -> OAuthToken:
        """Exchanges an authorization code.

        Raises:
            TokenError: the code was used before.
            StorageError: nobody knows yet what will come of it; the same request may succeed later.
        """
        claim = await self._claim(CODE, code, CODE_LIFETIME_SECONDS)
        if isinstance(claim, Use):
            self._replayed(CODE, claim, answer="refused")
            if claim.age > AT_ONCE_SECONDS:
                await self.revoke(claim.outcome, because="an authorization code was used again")
            raise TokenError("invalid_grant", "The authorization code was used before.")
        tokens = await self._run(claim, exchange, new_login=True)
        self._audit.record(Event.SIGN_IN)
        return tokens

    async def rotate(
        self, token: RefreshToken, exchange: Callable[[], Awaitable[OAuthToken]], *, expires_in: float
    ) -> OAuthToken:
        """Exchanges a refresh token, whose own validity ends in `expires_in` seconds.

        Raises:
            TokenError: the token was used before the grace window.
            StorageError: nobody knows yet what will come of it; the same request may succeed later.
        """
        claim = await self._claim(REFRESH_TOKEN, token.token, max(expires_in, 1.0))
        if not isinstance(claim, Use):
            owner = {"client_id": token.client_id, "scopes": token.scopes, "expires_at": token.expires_at}
            tokens = await self._run(claim, exchange, new_login=False, remember=owner)
            self._audit.record(Event.REFRESH)
            return tokens
        if claim.age > self._grace_seconds:
            self._replayed(REFRESH_TOKEN, claim, answer="refused")
            await self.revoke(claim.outcome, because="a refresh token was used again")
            raise TokenError("invalid_grant", "The refresh token was used before.")
        self._replayed(REFRESH_TOKEN, claim, answer="successor")
        successor = OAuthToken.model_validate(claim.outcome["tokens"])
        if successor.expires_in is not None:
            successor.expires_in = max(successor.expires_in - int(claim.age), 1)
        return successor

    async def used_refresh_token(self, token: str) -> RefreshToken | None:
        """Returns what is known of a refresh token that was used already."""
        use = await self._ledger.look_up(REFRESH_TOKEN, token)
        if use is None or "client_id" not in use.outcome:
            return None
        names = ("client_id", "scopes", "expires_at")
        return RefreshToken(token=token, **{name: use.outcome[name] for name in names})

    async def revoke_used(self, token: str, *, because: str) -> None:
        """Ends the sign-in of a refresh token that was exchanged already; its client may have lost the successor."""
        use = await self._ledger.look_up(REFRESH_TOKEN, token)
        if use is not None:
            await self.revoke(use.outcome, because=because)

    async def revoke(self, outcome: Mapping[str, Any], *, because: str) -> None:
        """Ends the sign-in that a use led to: every access and refresh token of it, on every instance."""
        token_set = outcome.get("token_set")
        if token_set is not None and await self._store.delete(token_set, collection=UPSTREAM_TOKENS):
            self._audit.record(Event.REVOCATION, user=outcome.get("user"), because=because)

    def _replayed(self, what: str, use: Use, *, answer: str) -> None:
        self._audit.record(
            Event.REPLAY,
            user=use.outcome.get("user"),
            what=what,
            answer=answer,
            seconds_later=round(use.age) if math.isfinite(use.age) else -1,
        )

    async def _claim(self, kind: str, value: str, expires_in: float) -> Claim | Use:
        return await self._ledger.claim(kind, value, lease=LEASE_SECONDS, expires_in=expires_in)

    async def _run(
        self,
        claim: Claim,
        exchange: Callable[[], Awaitable[OAuthToken]],
        *,
        new_login: bool,
        remember: Mapping[str, Any] | None = None,
    ) -> OAuthToken:
        running = self._store.exchange(new_login=new_login)
        try:
            async with asyncio.timeout(EXCHANGE_SECONDS):
                with running:
                    tokens = await exchange()
            outcome = {"token_set": running.token_set, "user": self._audit.user(), **(remember or {})}
            if not new_login:
                outcome["tokens"] = tokens.model_dump(mode="json")
            async with asyncio.timeout(SETTLE_SECONDS):
                settled = await self._ledger.settle(claim, outcome)
        except TimeoutError:
            await self._give_back(claim, running)
            raise StorageError("the exchange took too long") from None
        except BaseException:
            await self._give_back(claim, running)
            raise
        if not settled:
            # The lease was over, and another request has done the same.
            await self._give_back(claim, running)
            raise StorageError("the lease of the exchange was over")
        await self._store.finish(running)
        return tokens

    async def _give_back(self, claim: Claim, running: Exchange) -> None:
        """Lets the same request succeed later, and leaves nothing behind of what nobody was told."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._ledger.release(claim)
                if running.new_login and running.made_token_set:
                    await self._store.delete(running.token_set, collection=UPSTREAM_TOKENS)
        except (StorageError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            logger.warning("A claim is left to its lease of %.0f s: %s", LEASE_SECONDS, reason)
