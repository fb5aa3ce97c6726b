"""Plain HTTP routes of the fixture app: what arrives in the worker, and what must arrive at the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

ANY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PIECE = b"x" * 65536

COOKIES = (
    "__Host-consent=eyJh+/=.sig%3D==; Path=/; Secure; HttpOnly; SameSite=Lax",
    '__Host-quoted="a b\\"c"; Path=/; Secure',
    "same=1",
    "same=2; Max-Age=0",
)


class Counter(Protocol):
    sent: int


def routes(counter: Counter) -> list[Route]:
    async def endless(_: Request) -> Response:
        async def pieces() -> AsyncGenerator[bytes]:
            while True:
                yield PIECE
                counter.sent += len(PIECE)
                await asyncio.sleep(0)  # once the client has gone, sending no longer waits for anything

        return StreamingResponse(pieces())

    return [
        Route("/echo/{rest:path}", _echo, methods=ANY),
        Route("/body", _body, methods=ANY),
        Route("/cookies", _cookies),
        Route("/three-megabytes", _three_megabytes),
        Route("/endless", endless),
        Route("/refuse-early", _refuse_early, methods=ANY),
        Route("/silent", _silent),
        Route("/fail", _fail),
        Route("/fail-late", _fail_late),
    ]


async def _echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "raw_path": request.scope["raw_path"].decode("latin-1"),
            "query": request.scope["query_string"].decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw],
            "params": dict(request.path_params),
        }
    )


async def _body(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def _cookies(request: Request) -> Response:
    response = PlainTextResponse(request.headers.get("cookie", ""))
    response.raw_headers.extend((b"set-cookie", value.encode()) for value in COOKIES)
    response.raw_headers.extend([(b"x-twice", b"1"), (b"x-twice", b"2")])
    return response


async def _three_megabytes(_: Request) -> Response:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(48):
            yield PIECE
            await asyncio.sleep(0.01)

    return StreamingResponse(pieces())


async def _refuse_early(_: Request) -> Response:
    return PlainTextResponse("too large", 413, {"connection": "close"})


async def _silent(_: Request) -> Response:
    async def pieces() -> AsyncGenerator[bytes]:
        await asyncio.sleep(30)
        yield b"late"

    return StreamingResponse(pieces())


async def _fail(_: Request) -> Response:
    raise RuntimeError("secret detail")


async def _fail_late(_: Request) -> Response:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"begun"
        raise RuntimeError("secret detail")

    return StreamingResponse(pieces())
