"""The receiver and its pages as an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from local.loopback.host_header import LoopbackHost
from local.traces.otlp import NotOtlpError, read_points, read_spans
from local.traces.pages import trace_page, traces_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from local.traces.kept import Kept

PROTOBUF = "application/x-protobuf"
MOST_BYTES = 16 * 1024 * 1024


class Traces:
    """Takes OTLP over HTTP in protobuf, and shows what came."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def app(self) -> ASGIApp:
        routes = [
            Route("/", self.show),
            Route("/traces/{trace_id}", self.show_one),
            Route("/clear", self.clear, methods=["POST"]),
            Route("/v1/traces", self.take_spans, methods=["POST"]),
            Route("/v1/metrics", self.take_points, methods=["POST"]),
            Route("/healthz", _alive),
        ]
        return LoopbackHost(Starlette(routes=routes))

    async def show(self, _: Request) -> Response:
        return traces_page(self._kept)

    async def show_one(self, request: Request) -> Response:
        for trace in self._kept.traces():
            if trace.trace_id == request.path_params["trace_id"]:
                return trace_page(trace)
        raise HTTPException(404, "No such trace is kept.")

    async def clear(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(403, "Another page must not clear this one.")
        self._kept.clear()
        return RedirectResponse("/", status_code=303)

    async def take_spans(self, request: Request) -> Response:
        body = await _body(request)
        try:
            self._kept.add_spans(read_spans(body))
        except NotOtlpError as error:
            raise HTTPException(400, str(error)) from None
        return Response(media_type=PROTOBUF)

    async def take_points(self, request: Request) -> Response:
        body = await _body(request)
        try:
            self._kept.add_points(read_points(body))
        except NotOtlpError as error:
            raise HTTPException(400, str(error)) from None
        return Response(media_type=PROTOBUF)


async def _body(request: Request) -> bytes:
    # A web page can send other types without asking; this one takes a preflight, which nobody answers.
    if request.headers.get("content-type") != PROTOBUF or "content-encoding" in request.headers:
        raise HTTPException(415, f"Only {PROTOBUF} is taken, not compressed.")
    if int(request.headers.get("content-length", MOST_BYTES + 1)) > MOST_BYTES:
        raise HTTPException(413, "The body is too large, or does not say how large it is.")
    return await request.body()


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})
