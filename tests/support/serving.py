"""Serves an application on a real socket, for what only shows there: bodies that come slowly, or never end."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self, override

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from starlette.types import ASGIApp

    from local.loopback.serve import Binding


class QuietServer(uvicorn.Server):
    """Leaves the signals of its process alone, and does not send itself again the one that ended it."""

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        yield


class ServedFromThread:
    """A context manager: `app()` is served at the binding, from a thread of the test process."""

    def __init__(self, binding: Binding, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        self._binding = binding
        self._options = options

    def app(self) -> ASGIApp:
        raise NotImplementedError

    def __enter__(self) -> Self:
        config = uvicorn.Config(self.app(), lifespan="off", access_log=False, log_level="critical", **self._options)
        self._server = QuietServer(config)
        serve = self._server.serve(sockets=list(self._binding.sockets))
        self._thread = threading.Thread(target=lambda: asyncio.run(serve), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._binding.close()


@asynccontextmanager
async def serving(app: ASGIApp, *, port: int = 0, tls: Path | None = None) -> AsyncGenerator[int]:
    """Yields the port, on 127.0.0.1, with the options of the Functions worker's server; `tls` has a key and a chain.

    It is a free one unless it is given.
    """
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
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
