"""Gives every error the form its reader understands, and none of the words of what caused it.

Threat: error texts of the identity provider and of libraries tell attackers about the server, and let a link put its
own words on a page of this server (https://cwe.mitre.org/data/definitions/209.html).
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from entra_mcp.trace import current_trace
from entra_mcp.web.pages.problem import problem_page
from entra_mcp.web.paths import OAUTH

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HELD_BYTES = 64 * 1024
"""How much of an error's body is looked at; what is longer is replaced."""

UNEXPECTED = {
    "error": "server_error",
    "error_description": "The server failed. Its log tells why, under the correlation id.",
}

logger = logging.getLogger(__name__)


class ErrorAnswers:
    """Browsers get a page; programs get JSON that names the correlation id, except in messages of MCP itself."""

    def __init__(self, app: ASGIApp, *, server_name: str) -> None:
        self.app = app
        self._server_name = server_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send, server_name=self._server_name)
        try:
            await self.app(scope, receive, answer.send)
        except Exception:
            if answer.begun and not answer.complete:
                raise
            trace = current_trace()
            logger.exception("The request failed, correlation id %s.", trace.correlation_id if trace else "none")
            if not answer.begun:
                await answer.fail()


class _Answer:
    """The answer to one request; an error is held until it is complete, everything else passes."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, server_name: str) -> None:
        self.begun = False
        self.complete = False
        self._scope = scope
        self._receive = receive
        self._send = send
        self._server_name = server_name
        self._held: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_rewritten(self._scope, message):
            self._held = message
        elif self._held is None:
            self.begun = True
            self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")[: HELD_BYTES + 1 - len(self._body)]
            if not message.get("more_body", False):
                await self._rewrite(self._held)

    async def fail(self) -> None:
        """Answers for an application that has failed before it answered."""
        self._body.clear()
        await self._rewrite({"type": "http.response.start", "status": 500, "headers": []})

    async def _rewrite(self, start: Message) -> None:
        headers = MutableHeaders(raw=start["headers"])
        response = self._response(start["status"], headers)
        if response is None:
            body = bytes(self._body)
        else:
            headers.update(response.headers)
            body = bytes(response.body)
        self.begun = self.complete = True
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})

    def _response(self, status: int, headers: Headers) -> Response | None:
        """What replaces the answer; None for a message of MCP, whose form is MCP's."""
        trace = current_trace()
        correlation_id = trace.correlation_id if trace else None
        content = self._content(headers)
        if content is not None and "jsonrpc" in content:
            return None
        if _wants_page(self._scope, headers):
            return problem_page(
                path=self._scope["path"], status=status, server_name=self._server_name, correlation_id=correlation_id
            )
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            content = UNEXPECTED
        elif content is None:
            content = {"error": _error_code(status, path=self._scope["path"])}
        return JSONResponse({**content, "correlation_id": correlation_id})

    def _content(self, headers: Headers) -> dict[str, Any] | None:
        if len(self._body) > HELD_BYTES or not headers.get("content-type", "").startswith("application/json"):
            return None
        try:
            content: object = json.loads(self._body)
        except ValueError:
            return None
        return cast("dict[str, Any]", content) if isinstance(content, dict) else None


def _is_rewritten(scope: Scope, start: Message) -> bool:
    if start["status"] < HTTPStatus.BAD_REQUEST or scope["method"] == "HEAD":
        return False
    return not Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")


def _wants_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person reads the answer: browsers name HTML when they open a page, and programs do not."""
    page_already = headers.get("content-type", "").startswith("text/html")
    return page_already or "text/html" in Headers(scope=scope).get("accept", "")


def _error_code(status: int, *, path: str) -> str:
    """`not_found` for 404, and so on; RFC 6749 section 5.2 names what cannot be read at an endpoint of OAuth."""
    if status == HTTPStatus.BAD_REQUEST and path in OAUTH:
        return "invalid_request"
    return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
