"""The edge of the server: a request begins and an answer leaves here, each in the form that the rest relies on.

Threat: a client writes whatever headers it likes. Only what the platform itself has written counts: the *last* value of
`X-Forwarded-Host` and `X-Forwarded-For`, and only on requests that came through the Functions host. That host sends the
worker its own address as `Host`
(https://learn.microsoft.com/aspnet/core/fundamentals/servers/yarp/transforms#defaults).

Threat: a consent page in an invisible frame, on which a person clicks unknowingly (RFC 9700 section 4.16). So answers
have headers that keep browsers from framing, sniffing, storing and leaking them.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders

from entra_mcp.request import REQUEST, UNKNOWN, RequestScope
from entra_mcp.web.paths import MCP, OAUTH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORRELATION_ID = "x-correlation-id"

INVOCATION_ID = "x-ms-invocation-id"
"""On every request from the Functions host, and on no other: the host never passes on one from outside."""

AUTHORIZATION = "authorization"
ANYTHING = (b"accept", b"*/*")

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

UNLESS_SET = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    # Not `no-referrer`: with that a browser sends `Origin: null` with the consent form, and the check of the origin
    # could not distinguish it from a foreign one (https://fetch.spec.whatwg.org/#append-a-request-origin-header).
    "Referrer-Policy": "same-origin",
}

TRANSPORT_SECURITY = {"Strict-Transport-Security": "max-age=31536000"}
"""One year, for this host alone: what other hosts of the domain do is not this server's to decide."""

COMMENT = b": ping\r\n\r\n"
"""What clients ignore (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)."""

logger = logging.getLogger(__name__)


class Edge:
    """Gives each request a correlation id: the trace id of the Functions host when it sent one, or a new one.

    Each answer carries it in `x-correlation-id`, with the security headers; each error is one line in the log. HEAD is
    answered as GET is, without the body (RFC 9110 section 9.3.2).

    A stream of events begins with a comment, because the forwarder of the Functions host holds back an answer's headers
    until bytes of its body follow. A call that reports nothing would look dead to its client until the MCP SDK's first
    ping. In the protocol of 2026-07-28 that ping begins the stream, after five seconds: a quicker answer is no stream.
    """

    def __init__(self, app: ASGIApp, *, https: bool, address_header: str | None = None) -> None:
        """Takes whether clients come over https.

        `address_header` is one that the platform writes, overwriting what the client sent: `CLIENT-IP` in Azure App
        Service. Without it, or when it is not there, a request came from the peer of the Functions host, and without
        that host from that of the connection.
        """
        self.app = app
        self._security = ALWAYS | (TRANSPORT_SECURITY if https else {})
        self._address_header = address_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope)
        request = RequestScope(
            correlation_id=_trace_id(sent) or uuid4().hex,
            address=self._client_address(scope, sent),
            host=_requested_host(sent),
        )
        inner, without_body = _normalized(scope, sent), scope["method"] == "HEAD"

        async def leave(message: Message) -> None:
            if message["type"] != "http.response.start":
                await send({**message, "body": b""} if without_body else message)
                return
            headers = MutableHeaders(scope=message)
            headers[CORRELATION_ID] = request.correlation_id
            headers.update(self._security)
            _complete(headers, path=inner["path"], status=message["status"])
            if message["status"] >= HTTPStatus.BAD_REQUEST:
                _log(scope, message["status"], request)
            await send(message)
            if has_events(headers) and not without_body:
                await send({"type": "http.response.body", "body": COMMENT, "more_body": True})

        token = REQUEST.set(request)
        try:
            await self.app(inner, receive, leave)
        finally:
            REQUEST.reset(token)

    def _client_address(self, scope: Scope, headers: Headers) -> str:
        """Where the request came from, without the port that App Service adds to the address."""
        found: str | None = None
        if INVOCATION_ID in headers:
            by_platform = _last(headers, self._address_header) if self._address_header else None
            found = by_platform or _last(headers, "x-forwarded-for")
        elif scope.get("client"):
            found = scope["client"][0]
        with_port = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", found or "")
        try:
            return str(ip_address((with_port[1] or with_port[2]) if with_port else found or ""))
        except ValueError:
            return UNKNOWN


def has_events(headers: Headers) -> bool:
    """Whether an answer is a stream of events, which nothing may hold back."""
    return headers.get("content-type", "").startswith("text/event-stream")


def _trace_id(headers: Headers) -> str | None:
    """That of `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header)."""
    found = re.fullmatch(
        r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", headers.get("traceparent", "")
    )
    return found[1] if found else None


def _requested_host(headers: Headers) -> str | None:
    named = _last(headers, "x-forwarded-host") if INVOCATION_ID in headers else None
    if named is None:
        hosts = headers.getlist("host")
        named = hosts[0] if len(hosts) == 1 else ""
    found = re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", named)
    return found[1].strip("[]").rstrip(".").lower() if found else None


def _last(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    return (values[-1].rpartition(",")[2].strip() or None) if values else None


def _normalized(scope: Scope, headers: Headers) -> Scope:
    """Returns the scope of an HTTP request as the rest of the server sees it, in every process and from every client.

    - HEAD is GET (RFC 9110 section 9.3.2).
    - `/mcp/` is `/mcp`, and its metadata likewise.
    - A call without `Accept` accepts anything (RFC 9110 section 12.5.1).
    - Several `Authorization` headers are one, as Kestrel joins them: no credentials that anybody accepts.
    """
    inner = dict(scope)
    if scope["method"] == "HEAD":
        inner["method"] = "GET"
    if scope["path"].endswith(f"{MCP}/"):
        inner["path"] = scope["path"].removesuffix("/")
        inner["raw_path"] = inner["path"].encode()
    if inner["path"] == MCP and "accept" not in headers:
        inner["headers"] = [*scope["headers"], ANYTHING]
    credentials = headers.getlist(AUTHORIZATION)
    if len(credentials) > 1:
        others = [pair for pair in inner["headers"] if pair[0].lower() != AUTHORIZATION.encode()]
        inner["headers"] = [*others, (AUTHORIZATION.encode(), ", ".join(credentials).encode("latin-1"))]
    return inner


def _complete(headers: MutableHeaders, *, path: str, status: int) -> None:
    """Adds what an answer does not say itself. `Vary` names each header once, and `Allow` its methods in one order."""
    for name, value in UNLESS_SET.items():
        headers.setdefault(name, value)
    # Nobody may keep it (RFC 6749 section 5.1); what says nothing of itself is taken for private.
    if (
        path in OAUTH
        or status >= HTTPStatus.BAD_REQUEST
        or "cache-control" not in headers
        or headers.get("content-type", "").startswith("text/html")
    ):
        headers["Cache-Control"] = "no-store"
    if "vary" in headers:
        headers["Vary"] = ", ".join(dict.fromkeys(_values(headers, "vary")))
    if "allow" in headers:
        headers["Allow"] = ", ".join(sorted(_values(headers, "allow")))


def _values(headers: Headers, name: str) -> list[str]:
    return [value.strip() for line in headers.getlist(name) for value in line.split(",")]


def _log(scope: Scope, status: int, request: RequestScope) -> None:
    # Percent-encoded, so that a path cannot begin a line of its own; without the query, which can hold a code.
    path = quote(scope["path"])[:200]
    level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
    logger.log(
        level,
        "%s %s answered %d to %s, correlation id %s.",
        scope["method"],
        path,
        status,
        request.address,
        request.correlation_id,
    )
