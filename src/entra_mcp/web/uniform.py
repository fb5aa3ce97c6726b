"""Makes a server answer alike behind the Functions host, without it, and in every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

AUTHORIZATION = "authorization"


class Uniform:
    """What comes and goes has one form.

    - Several `Authorization` headers are one, as Kestrel joins them: no credentials that anybody accepts.
    - HEAD is answered as GET is, without the body (RFC 9110 section 9.3.2).
    - `Vary` names each header once, and `Allow` its methods in one order.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        async def tidy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "vary" in headers:
                    headers["Vary"] = ", ".join(dict.fromkeys(_values(headers.getlist("vary"))))
                if "allow" in headers:
                    headers["Allow"] = ", ".join(sorted(_values(headers.getlist("allow"))))
            elif head:
                message = {**message, "body": b""}
            await send(message)

        inner = {**scope, "method": "GET" if head else scope["method"]}
        credentials = Headers(scope=scope).getlist(AUTHORIZATION)
        if len(credentials) > 1:
            inner["headers"] = [pair for pair in scope["headers"] if pair[0] != AUTHORIZATION.encode()]
            inner["headers"].append((AUTHORIZATION.encode(), ", ".join(credentials).encode("latin-1")))
        await self.app(inner, receive, tidy)


def _values(lines: Iterable[str]) -> list[str]:
    return [value.strip() for line in lines for value in line.split(",")]
