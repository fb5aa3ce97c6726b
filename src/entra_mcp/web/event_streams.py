"""Sends the first bytes of a stream of events at once.

The forwarder of the Functions host holds back an answer's headers until bytes of its body follow. A call that reports
nothing would look dead to its client until the first ping, which the MCP SDK sends after 15 seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COMMENT = b": ping\r\n\r\n"
"""What clients ignore (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)."""


class PromptEventStreams:
    """Lets a comment follow the headers of each stream of events."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def prompt(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start" and scope["method"] != "HEAD" and _has_events(message):
                await send({"type": "http.response.body", "body": COMMENT, "more_body": True})

        await self.app(scope, receive, prompt)


def _has_events(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")
