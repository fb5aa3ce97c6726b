"""A stream of events begins with its first bytes, whenever its first event comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest
from fastmcp import FastMCP
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.responses import PlainTextResponse, StreamingResponse

from entra_mcp.web.edge import COMMENT
from entra_mcp.web.time_limits import SILENCE_SECONDS
from tests.support.clock import virtual_time
from tests.support.edge import edged
from tests.support.mcp import tool_call

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


async def test_silent_call_of_the_newest_protocol_begins_its_answer_after_the_silence_limit() -> None:
    go_on, server = asyncio.Event(), FastMCP("S")

    @server.tool
    async def wait() -> str:
        await go_on.wait()
        return "done"

    app = server.http_app(path="/mcp", stateless_http=True)
    call = tool_call("wait", protocol="2026-07-28")
    async with app.lifespan(app), over(app) as http:
        with virtual_time() as clock:
            began = clock.now
            async with http.stream("POST", "/mcp", **call) as answer:
                pieces = answer.aiter_raw()
                assert await anext(pieces) == COMMENT
                assert clock.now - began == pytest.approx(SILENCE_SECONDS + 1)
                go_on.set()
                assert b'"done"' in b"".join([piece async for piece in pieces])


async def test_other_answers_are_left_alone() -> None:
    async with over(PlainTextResponse("text")) as http:
        assert (await http.get("/")).text == "text"


async def test_answer_to_head_has_no_body() -> None:
    async with over(StreamingResponse(iter(()), media_type="text/event-stream")) as http:
        assert (await http.head("/")).content == b""
