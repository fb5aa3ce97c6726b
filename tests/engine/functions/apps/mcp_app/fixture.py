"""What the fixture app is made of: its start-up, its diagnostics, and what goes wrong by its environment."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from azure_functions_runtime.http_v2 import http_coordinator
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Mount

from tests.engine.functions.apps.mcp_app.routes import routes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send


class Fixture:
    """`FIXTURE_TOOLS`, `FIXTURE_START_SECONDS`, `FIXTURE_FAILURES` and `FIXTURE_DIARY` (a file) shape it."""

    def __init__(self) -> None:
        self.entered = 0
        self.sent = 0
        self.fired: list[str] = []
        self.tools: list[str] = []
        self.early: dict[str, ASGIApp] = {"/healthz": PlainTextResponse("alive"), "/diagnostics": self._diagnostics}
        self._has_tools = "FIXTURE_TOOLS" in os.environ
        self._start_seconds = float(os.environ.get("FIXTURE_START_SECONDS", "0"))
        self._failures = int(os.environ.get("FIXTURE_FAILURES", "0"))
        self._diary = Path(os.environ.get("FIXTURE_DIARY", os.devnull))

    @asynccontextmanager
    async def running_app(self) -> AsyncGenerator[ASGIApp]:
        self.entered += 1
        await asyncio.sleep(self._start_seconds)
        if self.entered <= self._failures:
            raise RuntimeError(f"start-up {self.entered} failed")
        async with AsyncExitStack() as stack:
            served: list[BaseRoute] = [*routes(self)]
            if self._has_tools:
                # Imported for those who call tools alone: most of a start is this import.
                from tests.engine.functions.apps.mcp_app.tools import fixture_server

                mcp_app = fixture_server(self.tools).http_app(stateless_http=True)
                await stack.enter_async_context(mcp_app.lifespan(mcp_app))
                served.append(Mount("/", mcp_app))
            self._note("started")
            try:
                yield Starlette(routes=served)
            finally:
                await asyncio.sleep(0.05)  # whoever leaves the lifespan must wait for it
                self._note("left")

    def startup_failed(self, error: Exception) -> ASGIApp:
        return JSONResponse({"error": str(error)}, 503)

    def break_function(self, kind: str) -> None:
        match kind:
            case "raise":
                raise RuntimeError("secret detail")
            case "exit":
                os._exit(9)
            case _:
                return

    async def _diagnostics(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = {
            "entered": self.entered,
            "sent": self.sent,
            "fired": self.fired,
            "tools": self.tools,
            "open": len(http_coordinator._context_references),  # pyright: ignore[reportPrivateUsage] - what is tested
            "pid": os.getpid(),
            "folder": os.fspath(Path.cwd()),
            "settings": {key: value for key, value in os.environ.items() if key.startswith("FIXTURE_")},
        }
        await JSONResponse(state)(scope, receive, send)

    def _note(self, line: str) -> None:
        with self._diary.open("a") as diary:
            diary.write(f"{line}\n")
