"""Gives every error the form its reader understands, and none of the words of what caused it.

Threat: error texts of the identity provider and of libraries inform attackers about the server, and let a link put its
own words on a page of this server (https://cwe.mitre.org/data/definitions/209.html).

An error during which a dependency failed becomes 503 (RFC 9110 section 15.6.4; outage.py says why), and a refusal gets
a line in the audit log, wherever in the application it was decided.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from entra_mcp import audit
from entra_mcp.audit import Event
from entra_mcp.errors import DependencyError
from entra_mcp.request import REQUEST
from entra_mcp.web import outage
from entra_mcp.web.edge import has_events
from entra_mcp.web.pages.problem import problem_page
from entra_mcp.web.paths import OAUTH, PROGRAMS
from entra_mcp.web.time_limits import lift_silence_limit

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from entra_mcp.request import RequestScope
    from entra_mcp.web.pages.layout import Brand

HELD_BYTES = 64 * 1024
"""How much of an error's body is looked at; what is longer is replaced."""

NOT_ALLOWED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses that refuse a request on any path; the paths of OAuth refuse with all from 400 to 499."""

UNEXPECTED = {
    "error": "server_error",
    "error_description": "The server failed. Its log says why, under the correlation id.",
}

logger = logging.getLogger(__name__)


class ErrorAnswers:
    """Browsers get a page; programs get JSON that names the correlation id, except in messages of MCP itself.

    Stands within `Edge`, which begins the request.
    """

    def __init__(self, app: ASGIApp, *, brand: Brand) -> None:
        self.app = app
        self._brand = brand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = REQUEST.get()
        if scope["type"] != "http" or request is None:
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send, request=request, brand=self._brand)
        try:
            await self.app(scope, receive, answer.send)
        except Exception as error:
            if answer.begun and not answer.complete:
                raise
            await answer.fail(error)
        else:
            await answer.finish()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES and not request.recorded:
            _record_refusal(scope, answer)


class _Answer:
    """The answer to one request: an error is held until it is known what becomes of it, everything else passes."""

    def __init__(self, scope: Scope, send: Send, *, request: RequestScope, brand: Brand) -> None:
        self.status = 0
        self.headers = Headers()
        self.error = ""
        self.begun = False
        self.complete = False
        self._scope = scope
        self._send = send
        self._request = request
        self._brand = brand
        self._held: Message | None = None
        self._body = bytearray()
        self._whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self._request.silence is not None:
                lift_silence_limit()
            self.status = message["status"]
            self.headers = self._request.answer = Headers(raw=message["headers"])
            if self._is_held():
                self._held = message
        elif self._held is not None:
            self._keep(message)
            # The framework sends an error of the server's own before it raises what the error was.
            if self._whole and self.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                await self.finish()
            return
        if self._held is None:
            self.begun = True
            self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)

    async def finish(self) -> None:
        """Sends what is held, in the form that its reader understands."""
        start, failures = self._held, self._request.failures
        if self.begun or not (start or failures):
            return
        content = self._content()
        if failures and (start is None or outage.is_failure(self.status, self.headers, content)):
            await self._unavailable()
        elif start is not None and self.status < HTTPStatus.BAD_REQUEST:
            await self._deliver(start, bytes(self._body))
        elif start is not None:
            await self._rewrite(start, content)

    async def fail(self, failure: Exception) -> None:
        """Answers for an application that has failed before it answered."""
        if isinstance(failure, DependencyError) and failure not in self._request.failures:
            self._request.failures.append(failure)
        if self.begun or not self._request.failures:
            logger.error("The request failed, correlation id %s.", self._request.correlation_id, exc_info=failure)
        if not (self.begun or self._whole):
            self.status, self.headers = HTTPStatus.INTERNAL_SERVER_ERROR, Headers()
            self._held = {"type": "http.response.start", "status": self.status, "headers": []}
            self._body.clear()
        await self.finish()

    def _is_held(self) -> bool:
        if self._request.failures:
            kind = self.headers.get("content-type", "")
            return self.status >= HTTPStatus.MULTIPLE_CHOICES or kind.startswith("application/json")
        if self.status < HTTPStatus.BAD_REQUEST or self._scope["method"] == "HEAD":
            return False
        return not has_events(self.headers)

    def _keep(self, message: Message) -> None:
        piece = message.get("body", b"")
        is_error = self.status >= HTTPStatus.BAD_REQUEST
        self._body += piece[: HELD_BYTES + 1 - len(self._body)] if is_error else piece
        self._whole = not message.get("more_body", False)

    async def _deliver(self, start: Message, body: bytes) -> None:
        self.begun = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
        self.complete = True

    async def _unavailable(self) -> None:
        for failure in self._request.failures:
            logger.error("%s %s answered 503: %s", self._scope["method"], self._scope["path"], failure)
        # Of the answer in whose place this one comes, only what lets a script of another origin read it is kept.
        kept = {name: value for name, value in self.headers.items() if name.startswith("access-control-")}
        self.status = HTTPStatus.SERVICE_UNAVAILABLE
        self.headers = Headers(kept | outage.unavailable_headers(self._request.failures))
        start = {"type": "http.response.start", "status": int(self.status), "headers": self.headers.raw}
        await self._rewrite(start, outage.CONTENT)

    async def _rewrite(self, start: Message, content: dict[str, Any] | None) -> None:
        self.error = str((content or {}).get("error", ""))
        response = self._response(content)
        if response is None:
            await self._deliver(start, bytes(self._body))
            return
        headers = MutableHeaders(raw=start["headers"])
        headers.update(response.headers)
        await self._deliver({**start, "headers": headers.raw}, bytes(response.body))

    def _response(self, content: dict[str, Any] | None) -> Response | None:
        """What replaces the answer; None for a message of MCP, whose form is MCP's."""
        if content is not None and "jsonrpc" in content:
            return None
        correlation_id, path = self._request.correlation_id, self._scope["path"]
        if _wants_page(self._scope, self.headers):
            return problem_page(path=path, status=self.status, brand=self._brand, correlation_id=correlation_id)
        if self.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            content = UNEXPECTED
        elif content is None:
            content = {"error": _error_code(self.status, path=path)}
        return JSONResponse({**content, "correlation_id": correlation_id})

    def _content(self) -> dict[str, Any] | None:
        too_long = self.status >= HTTPStatus.BAD_REQUEST and len(self._body) > HELD_BYTES
        if too_long or not self.headers.get("content-type", "").startswith("application/json"):
            return None
        try:
            content: object = json.loads(self._body)
        except ValueError:
            return None
        return cast("dict[str, Any]", content) if isinstance(content, dict) else None


def _record_refusal(scope: Scope, answer: _Answer) -> None:
    """Writes an audit line for a refusal.

    The 401 that shows a client where to sign in is no refusal: nothing was presented. Nor is an outage.
    """
    location = parse_qs(urlsplit(answer.headers.get("location", "")).query)
    error = next(iter(location.get("error", ())), answer.error)
    if scope["path"] in OAUTH:
        refused = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR if answer.status >= HTTPStatus.BAD_REQUEST else error
    elif answer.status == HTTPStatus.UNAUTHORIZED:
        refused = "authorization" in Headers(scope=scope)
    else:
        refused = answer.status in NOT_ALLOWED
    if refused:
        request = f"{scope['method']} {quote(scope['path'])}"
        audit.record(Event.REFUSAL, request=request, status=int(answer.status), error=error)


def _wants_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person reads the answer: browsers name HTML when they open a page, and few programs do."""
    page_already = headers.get("content-type", "").startswith("text/html")
    return page_already or (scope["path"] not in PROGRAMS and "text/html" in Headers(scope=scope).get("accept", ""))


def _error_code(status: int, *, path: str) -> str:
    """`not_found` for 404, and so on; RFC 6749 section 5.2 names what cannot be read at an endpoint of OAuth."""
    if status == HTTPStatus.BAD_REQUEST and path in OAUTH:
        return "invalid_request"
    return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
