"""Middleware that answers only requests addressed to a loopback name.

Threat: DNS rebinding, where a web page's own host name resolves to 127.0.0.1 and the page then reads what the stand-ins
answer. Source: https://www.w3.org/TR/secure-contexts/ and RFC 9110 section 7.4 (421 Misdirected Request).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class LoopbackHost:
    """Answers 421 when the Host header names anything but localhost, 127.0.0.1 or [::1], with any port."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_loopback(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("This server answers to localhost only.\n", status_code=421)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_loopback(host: str) -> bool:
    return any(
        host == name or (host.startswith(f"{name}:") and host.removeprefix(f"{name}:").isdigit())
        for name in LOOPBACK_NAMES
    )
