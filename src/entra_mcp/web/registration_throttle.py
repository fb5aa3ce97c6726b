"""Limits how fast clients may register.

Threat: registration is open to anyone (RFC 7591), so a flood of it would fill the table. Everything else stays
untouched: whoever is registered goes on signing in while the flood lasts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from entra_mcp.web.answers import oauth_error
from entra_mcp.web.forwarded import network
from entra_mcp.web.paths import REGISTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from entra_mcp.web.buckets import TokenBuckets


class RegistrationThrottle:
    """Answers 429 with Retry-After (RFC 6585 section 4) to registrations beyond what the buckets allow."""

    def __init__(
        self, app: ASGIApp, *, by_address: TokenBuckets, overall: TokenBuckets, address: Callable[[Scope], str]
    ) -> None:
        self.app = app
        self._by_address = by_address
        self._overall = overall
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == REGISTER and scope["method"] == "POST":
            # In this order, so that one address cannot use up what is for all.
            wait = self._by_address.take(network(self._address(scope))) or self._overall.take()
            if wait:
                response = oauth_error(
                    429,
                    "too_many_requests",
                    "Too many clients register at this moment. Try again later.",
                    headers={"Retry-After": str(math.ceil(wait))},
                )
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)
