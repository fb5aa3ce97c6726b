"""Errors of an application that answers too much, half, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse

from entra_mcp.web.edge import COMMENT
from tests.support.edge import edged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest
    from starlette.types import ASGIApp, Receive, Scope, Send


async def get(app: ASGIApp) -> httpx2.Response:
    transport = StreamingASGITransport(edged(app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.get("/")


async def test_application_that_fails_before_it_answers_gets_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("hunter2")

    response = await get(app)
    assert (response.status_code, response.json()["error"]) == (500, "server_error")
    assert "hunter2" not in response.text
    assert "hunter2" in caplog.text


async def test_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("hunter2")

    raised: list[Exception] = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await edged(app)(scope, receive, send)
        except RuntimeError as error:
            raised.append(error)

    async with httpx2.AsyncClient(transport=StreamingASGITransport(noting), base_url="http://localhost") as http:
        await http.get("/")
    assert len(raised) == 1


async def test_error_that_breaks_off_becomes_a_whole_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"hunter2", "more_body": True})
        raise RuntimeError("hunter2")

    response = await get(app)
    assert (response.status_code, response.json()["error"]) == (500, "server_error")


async def test_long_error_is_replaced() -> None:
    response = await get(JSONResponse({"error": "x", "error_description": "hunter2" * 20_000}, status_code=400))
    assert response.json() == {"error": "bad_request", "correlation_id": response.headers["x-correlation-id"]}


async def test_headers_of_the_error_are_kept() -> None:
    kept = {"retry-after": "5", "www-authenticate": "Bearer", "set-cookie": "a=b"}
    response = await get(PlainTextResponse("hunter2", status_code=503, headers=kept))
    assert kept.items() <= dict(response.headers).items()
    assert response.json()["error"] == "service_unavailable"


async def test_stream_of_an_error_passes() -> None:
    async def events() -> AsyncGenerator[str]:
        yield "data: 1\n\n"

    response = await get(StreamingResponse(events(), status_code=400, media_type="text/event-stream"))
    assert response.content == COMMENT + b"data: 1\n\n"
