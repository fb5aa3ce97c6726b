"""Bounds what a client may say of itself when it registers.

Threat: whatever is registered is stored, and shown to people on the consent page (RFC 7591 section 5).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from entra_mcp.web.answers import refusal
from entra_mcp.web.paths import REGISTER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLIENT_NAME_CHARACTERS = 128
REDIRECT_URIS = 10
STRING_CHARACTERS = 2048
LIST_ITEMS = 50
MEMBERS = 50
DEPTH = 8


class RegistrationBounds:
    """Answers 400 (RFC 7591 section 3.2.2) to metadata that is too long, too many, or nested too deep."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != REGISTER or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        messages = [message async for message in _request(receive)]
        body = b"".join(message.get("body", b"") for message in messages)
        fault = _fault(body) if messages[-1]["type"] == "http.request" else None
        if fault is not None:
            await refusal(400, *fault)(scope, receive, send)
            return
        replayed = iter(messages)

        async def replay() -> Message:
            message = next(replayed, None)
            return await receive() if message is None else message

        await self.app(scope, replay, send)


async def _request(receive: Receive) -> AsyncGenerator[Message]:
    while True:
        message = await receive()
        yield message
        if not message.get("more_body", False):
            return


def _fault(body: bytes) -> tuple[str, str] | None:
    """Returns error code and description, or None for what is within bounds."""
    try:
        metadata: object = json.loads(body)
    except (ValueError, RecursionError):
        return "invalid_client_metadata", "The request is not a JSON object."
    if not isinstance(metadata, dict):
        return "invalid_client_metadata", "The request is not a JSON object."
    members = cast("dict[str, object]", metadata)
    uris = members.get("redirect_uris")
    if isinstance(uris, list):
        listed = cast("list[object]", uris)
        if len(listed) > REDIRECT_URIS:
            return "invalid_redirect_uri", f"A client may register {REDIRECT_URIS} redirect URIs."
        if any(isinstance(uri, str) and len(uri) > STRING_CHARACTERS for uri in listed):
            return "invalid_redirect_uri", f"A redirect URI may have {STRING_CHARACTERS} characters."
    name = members.get("client_name")
    if isinstance(name, str) and len(name) > CLIENT_NAME_CHARACTERS:
        return "invalid_client_metadata", f"client_name may have {CLIENT_NAME_CHARACTERS} characters."
    if not _within(members, depth=DEPTH):
        return "invalid_client_metadata", "The client metadata is too long, or nested too deep."
    return None


def _within(value: object, *, depth: int) -> bool:
    match value:
        case str():
            return len(value) <= STRING_CHARACTERS
        case dict():
            members = cast("dict[str, object]", value)
            return len(members) <= MEMBERS and _all_within((*members, *members.values()), depth=depth)
        case list():
            items = cast("list[object]", value)
            return len(items) <= LIST_ITEMS and _all_within(items, depth=depth)
        case _:
            return True


def _all_within(values: Iterable[object], *, depth: int) -> bool:
    return depth > 0 and all(_within(value, depth=depth - 1) for value in values)
