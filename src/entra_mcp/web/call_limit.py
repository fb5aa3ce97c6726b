"""Limits how often one caller may call, so that none takes an instance from the others.

The specification wants calls of tools and completions limited
(https://modelcontextprotocol.io/specification/2025-11-25/server/tools#security-considerations). Every request of a
caller counts, since it costs about the same whatever it asks for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from entra_mcp.web.answers import oauth_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from entra_mcp.web.buckets import TokenBuckets


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
        if not wait:
            await self.app(scope, receive, send)
            return
        seconds = math.ceil(wait)
        response = oauth_error(
            429,
            "too_many_requests",
            f"You call more often than this server allows. Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )
        await response(scope, receive, send)
