"""Apps that answer only requests addressed to a loopback name.

Threat: DNS rebinding, where a web page's own host name resolves to 127.0.0.1 and the page then reads what the stand-ins
answer. Source: https://www.w3.org/TR/secure-contexts/ and RFC 9110 section 7.4 (421 Misdirected Request).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")


class LoopbackHost:
    """Answers 421 when the Host header names anything but localhost, 127.0.0.1 or [::1], with any port."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not LOOPBACK.fullmatch(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("This server answers to localhost only.\n", status_code=421)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def loopback_app(routes: Iterable[BaseRoute]) -> ASGIApp:
    """The app with these routes, and with `/healthz` for whoever waits until it is up."""
    return LoopbackHost(Starlette(routes=[Route("/healthz", _health), *routes]))


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})
