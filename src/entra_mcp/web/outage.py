"""Answers 503 when a dependency failed, so that an outage signs nobody out (RFC 9110 section 15.6.4).

A client takes 401 for the end of its tokens and asks its user to sign in again, and 500 for good. Both are wrong when
Table Storage, Key Vault or Entra ID is away for a moment: the tokens are still good, and the same request works soon.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response

from entra_mcp.errors import DependencyError, UpstreamUnavailableError
from entra_mcp.patience import RequestPatience
from entra_mcp.web.health import NO_STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from entra_mcp.faults import Faults

RETRY_SECONDS = 5

DEADLINE_SECONDS = 4.0
"""For a whole request: several slow answers of a dependency add up. What has succeeded by then may end in a second."""

TRY_AGAIN = "Something this server depends on does not answer. Try again in a moment; you stay signed in."

OUR_FAULT = frozenset({"server_error", "temporarily_unavailable"})
"""Errors of an authorization response that say nothing of the request (RFC 6749 section 4.1.2.1)."""

logger = logging.getLogger(__name__)


class OutageMiddleware:
    """Puts a 503 in the place of an error answer to a request during which a dependency failed.

    Answers that are no error pass. An answer that takes too long to begin counts as a dependency that failed, unless
    the deadline was lifted meanwhile: by what has succeeded, or for a tool, which may take its time.
    """

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._faults.watch() as noted:
            deadline = RequestPatience(DEADLINE_SECONDS)
            answer = _Answer(send, is_outage=lambda: bool(noted), on_begin=deadline.lift)
            failure: Exception | None = None
            try:
                async with deadline:
                    await self._app(scope, receive, answer)
            except Exception as error:  # noqa: BLE001 - raised again, once it is known whether an answer was sent
                failure = DependencyError("server", "no answer in time") if deadline.expired else error
            if isinstance(failure, DependencyError) and failure not in noted:
                noted.append(failure)
            if not (noted and isinstance(failure, Exception)):
                await answer.finish()
            if noted and not answer.begun:
                await self._unavailable(scope, noted)(scope, receive, send)
            elif failure is not None:
                raise failure

    def _unavailable(self, scope: Scope, faults: Sequence[DependencyError]) -> Response:
        for fault in faults:
            logger.error("%s %s answered 503: %s", scope["method"], scope["path"], fault)
        waits = [fault.retry_after for fault in faults if isinstance(fault, UpstreamUnavailableError)]
        seconds = max([wait for wait in waits if wait is not None], default=RETRY_SECONDS)
        return JSONResponse(
            {"error": "temporarily_unavailable", "error_description": TRY_AGAIN},
            status_code=503,
            headers={**NO_STORE, "Retry-After": str(seconds)},
        )


class _Answer:
    """Sends an answer on, but not one that is an error during an outage.

    An error of the server's own is held back until the application has ended: Starlette sends it before it raises what
    the error was.
    """

    def __init__(self, send: Send, *, is_outage: Callable[[], bool], on_begin: Callable[[], None]) -> None:
        self._send = send
        self._is_outage = is_outage
        self._on_begin = on_begin
        self._held: list[Message] | None = None
        self._dropped = False
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.begun:
            self._dropped = self._is_outage() and _is_failure(message)
            # MCP tells of an error in a message of its own, which needs a look.
            looked_at = message["status"] >= 500 or (self._is_outage() and _is_json(message))
            self._held = [] if looked_at and not self._dropped else None
        if self._dropped:
            return
        if self._held is not None:
            self._held.append(message)
            return
        self.begun = True
        self._on_begin()
        await self._send(message)

    async def finish(self) -> None:
        """Sends what was held back, unless it tells of an error during an outage."""
        held, self._held = self._held or [], None
        if self._is_outage() and _tells_of_an_error(held):
            return
        for message in held:
            self.begun = True
            await self._send(message)


def _is_json(start: Message) -> bool:
    return MutableHeaders(raw=start["headers"]).get("content-type", "").startswith("application/json")


def _tells_of_an_error(answer: Sequence[Message]) -> bool:
    """Whether the answer is an error of JSON-RPC, or the result of a tool that failed."""
    try:
        content: Any = json.loads(b"".join(message.get("body", b"") for message in answer))
    except ValueError:
        return False
    if not isinstance(content, dict):
        return False
    result: Any = cast("dict[str, Any]", content).get("result")
    return "error" in content or (isinstance(result, dict) and bool(cast("dict[str, Any]", result).get("isError")))


def _is_failure(message: Message) -> bool:
    if message["status"] < 300:
        return False
    if message["status"] >= 400:
        return True
    query = parse_qs(urlsplit(MutableHeaders(raw=message["headers"]).get("location", "")).query)
    return bool(OUR_FAULT & set(query.get("error", ())))
