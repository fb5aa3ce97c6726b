"""A stream of events begins with its first bytes, whenever its first event comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.responses import PlainTextResponse, StreamingResponse

from entra_mcp.web.edge import COMMENT
from tests.support.edge import edged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp


def over(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=StreamingASGITransport(edged(app)), base_url="http://localhost")


async def test_first_bytes_of_a_silent_stream_arrive_before_its_first_event() -> None:
    go_on = asyncio.Event()

    async def events() -> AsyncGenerator[bytes]:
        await go_on.wait()
        yield b"data: 1\n\n"

    async with over(StreamingResponse(events(), media_type="text/event-stream")) as http, http.stream("GET", "/") as it:
        pieces = it.aiter_raw()
        assert await anext(pieces) == COMMENT
        go_on.set()
        assert await anext(pieces) == b"data: 1\n\n"


async def test_other_answers_are_left_alone() -> None:
    async with over(PlainTextResponse("text")) as http:
        assert (await http.get("/")).text == "text"


async def test_answer_to_head_has_no_body() -> None:
    async with over(StreamingResponse(iter(()), media_type="text/event-stream")) as http:
        assert (await http.head("/")).content == b""
