"""Limits how often one caller may call, and how fast clients may register.

The specification wants calls of tools and completions limited
(https://modelcontextprotocol.io/specification/2025-11-25/server/tools#security-considerations). Every request of a
caller counts, since it costs about the same whatever it asks for.

Threat: registration is open to anyone (RFC 7591), so a flood of it would fill the table. Everything else stays
untouched: whoever is registered goes on signing in while the flood lasts.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import TYPE_CHECKING

from entra_mcp.request import asking_network
from entra_mcp.web.answers import oauth_error
from entra_mcp.web.paths import REGISTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

SECONDS = 60.0


class TokenBuckets:
    """Gives each key `per_minute` tokens, which come back evenly over a minute.

    A key that is forgotten begins again with a full bucket. The least recently used of more than `keys` is forgotten,
    so a bound that must hold against any number of keys needs a bucket of its own.
    """

    def __init__(self, *, per_minute: int, keys: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._keys = keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str = "") -> float:
        """Takes a token; returns 0, or the seconds until there is one to take."""
        now = self._clock()
        tokens, since = self._buckets.pop(key, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - since) * self._capacity / SECONDS)
        taken = tokens >= 1
        self._buckets[key] = (tokens - taken, now)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - tokens) * SECONDS / self._capacity


class CallLimit:
    """Answers 429 with Retry-After (RFC 6585 section 4) to a caller whose bucket is empty.

    Stands behind the authentication, which puts the caller into the scope, and in front of all that reads the body. A
    caller is who the token was issued to, a person or an application, whichever clients they use.
    """

    def __init__(self, app: ASGIApp, *, by_caller: TokenBuckets) -> None:
        self.app = app
        self._by_caller = by_caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = getattr(scope.get("user"), "access_token", None)
        wait = 0.0 if token is None else self._by_caller.take(f"{token.claims['tid']}/{token.claims['oid']}")
        if wait:
            described = f"You call more often than this server allows. Try again in {math.ceil(wait)} s."
            await _too_many(described, wait=wait)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class RegistrationThrottle:
    """Answers 429 with Retry-After (RFC 6585 section 4) to registrations beyond what the buckets allow."""

    def __init__(self, app: ASGIApp, *, by_network: TokenBuckets, overall: TokenBuckets) -> None:
        self.app = app
        self._by_network = by_network
        self._overall = overall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == REGISTER and scope["method"] == "POST":
            # In this order, so that one network cannot use up what is for all.
            wait = self._by_network.take(asking_network()) or self._overall.take()
            if wait:
                described = "Too many clients register at this moment. Try again later."
                await _too_many(described, wait=wait)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _too_many(described: str, *, wait: float) -> Response:
    headers = {"Retry-After": str(math.ceil(wait))}
    return oauth_error(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", described, headers=headers)
