"""What a message of MCP may be before the MCP library works on it.

Threat: JSON of very many values fails validation in as many places, each of which the error then describes. One call
takes seconds of the processor and hundreds of megabytes (https://cwe.mitre.org/data/definitions/770.html), while
everybody else whom the instance serves waits. So the values are counted first.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import pydantic_core
from mcp.types import INVALID_REQUEST, PARSE_ERROR
from starlette.responses import JSONResponse

from entra_mcp.web.answers import oauth_error

if TYPE_CHECKING:
    from starlette.responses import Response

    from entra_mcp.web.step_up import StepUp

MAX_DEPTH = 64
"""How many arrays and objects may contain each other."""

MAX_REPEATED = 2048
"""How many characters something may have that an error repeats: a method, an id, a name, a URI, a cursor."""

REPEATED = ("name", "uri", "cursor")

PARSE_FAILED = "Parse error: the body is not JSON in UTF-8"
NO_MESSAGE = "Invalid request: the body must be one JSON-RPC 2.0 message whose id, if any, is a string or an integer"
TOO_LONG = f"Invalid request: a method, an id, a name, a URI or a cursor may have {MAX_REPEATED} characters"


class MessageCheck:
    """Answers 413 to a message of more than `max_values` JSON values, and 400 to what is no message of JSON-RPC."""

    def __init__(self, *, max_values: int, step_up: StepUp | None = None) -> None:
        """`step_up` looks at each call of a tool."""
        self._max_values = max_values
        self._step_up = step_up

    async def __call__(self, body: bytes) -> Response | None:
        """Returns the refusal of the body; None when the library may have it."""
        try:
            message = pydantic_core.from_json(body)
        except ValueError:
            return _error(PARSE_ERROR, PARSE_FAILED)
        # Each value but the outermost follows a comma or an opening bracket; most messages have few of them.
        opened = body.count(b"[") + body.count(b"{")
        few = opened <= MAX_DEPTH and opened + body.count(b",") < self._max_values
        if not (few or _is_within_bounds(message, max_values=self._max_values)):
            described = f"A message may have {self._max_values} values, {MAX_DEPTH} deep in each other."
            return oauth_error(HTTPStatus.CONTENT_TOO_LARGE, "request_too_large", described)
        members = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
        message_id, method, params = members.get("id", 0), members.get("method", ""), members.get("params", {})
        if members.get("jsonrpc") != "2.0" or not isinstance(method, str) or not isinstance(params, dict):
            return _error(INVALID_REQUEST, NO_MESSAGE)
        # The library would take another id for none, and the request for a notification, which nobody answers.
        if isinstance(message_id, bool) or not isinstance(message_id, int | str):
            return _error(INVALID_REQUEST, NO_MESSAGE)
        repeated = [message_id, method]
        repeated += [cast("dict[str, Any]", params).get(name) for name in REPEATED]
        if any(isinstance(each, str) and len(each) > MAX_REPEATED for each in repeated):
            return _error(INVALID_REQUEST, TOO_LONG)
        if self._step_up is not None and method == "tools/call":
            return await self._step_up(cast("dict[str, Any]", params))
        return None


def _is_within_bounds(message: object, *, max_values: int) -> bool:
    """Looks at one depth after the other, and stops at the first that has too many values."""
    count, values = 1, [message]
    for _ in range(MAX_DEPTH + 1):
        containers = [cast("dict[str, Any] | list[Any]", each) for each in values if isinstance(each, dict | list)]
        count += sum(map(len, containers))
        if not containers or count > max_values:
            return count <= max_values
        values = [each for held in containers for each in (held.values() if isinstance(held, dict) else held)]
    return False


def _error(code: int, message: str) -> Response:
    content = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return JSONResponse(content, status_code=HTTPStatus.BAD_REQUEST)
