"""Serves an application on a real socket, for what only shows there: bodies that come slowly, or never end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, override

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from starlette.types import ASGIApp


class QuietServer(uvicorn.Server):
    """Leaves the signals of its process alone, and does not send itself again the one that ended it."""

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, *, tls: Path | None = None) -> AsyncGenerator[int]:
    """Yields the port, on 127.0.0.1, with the options of the Functions worker's server; `tls` has a key and a chain."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        ssl_certfile=tls,
        ssl_keyfile=tls,
    )
    server = QuietServer(config)
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running
