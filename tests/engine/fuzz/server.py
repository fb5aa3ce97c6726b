"""The whole application on an event loop in a thread, and one way in: a request as the web server gives it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import re
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote
from uuid import uuid4

import httpx2
import psutil
import pytest
from fastmcp.utilities.asgi_transport import StreamingASGITransport

from entra_mcp.app import PROBES, startup_failed
from entra_mcp.functions.lifespan import Lifespan
from entra_mcp.patience import Patience
from tests.engine.fuzz.hostile import SECRETS
from tests.engine.fuzz.requests import CHALLENGE, REDIRECT, VERIFIER, Request
from tests.support.app.server import running_app
from tests.support.forms import Forms
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import TracebackType

    from starlette.types import Message, Scope

    from tests.support.standins import StandIns

BASE_URL = "http://localhost:7071"
HANG_SECONDS = 5.5
"""How long the application may be silent: the promised five seconds, and what the machine needs for the rest."""


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""
    complete: bool = False
    seconds: float = 0.0
    """What it cost the processor."""
    error: BaseException | None = None
    """What left the application."""

    def header(self, name: str) -> str:
        return next(
            (value.decode("latin-1") for key, value in self.headers if key.decode("latin-1").lower() == name), ""
        )


@dataclass(frozen=True)
class Usage:
    """What a process holds at rest."""

    tasks: int
    files: int
    memory: int


class Complaints(logging.Handler):
    """Collects what the event loop complains of: tasks that failed unseen, and the like."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class Server:
    """The running application; `known` holds what is filled into requests."""

    def __init__(self, app: Lifespan, loop: asyncio.AbstractEventLoop) -> None:
        self.known: dict[str, str] = {}
        self.valid_bearers: set[str] = set()
        self.requests = 0
        self._app = app
        self._loop = loop

    def run[Result](self, work: Coroutine[Any, Any, Result], *, seconds: float = 60.0) -> Result:
        """Runs the work on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def send(self, request: Request) -> Answer:
        """Sends one request; an answer that does not come in time is a `TimeoutError` in `error`."""
        self.requests += 1
        return self.run(self._send(request), seconds=HANG_SECONDS * 20)

    def filled(self, text: str) -> str:
        for name, value in self.known.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    async def _send(self, request: Request) -> Answer:
        answer, done = Answer(), asyncio.Event()
        chunks = [self.filled(chunk.decode("latin-1")).encode("latin-1") for chunk in request.body]
        pending = iter(enumerate(chunks, start=1))

        async def receive() -> Message:
            number, chunk = next(pending, (0, b""))
            if number and not (request.gone and number == len(chunks)):
                return {"type": "http.request", "body": chunk, "more_body": number < len(chunks) or request.gone}
            if not request.gone:
                await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert answer.status == 0, "a second answer began"
                answer.status, answer.headers = message["status"], list(message["headers"])
            elif message["type"] == "http.response.body":
                assert answer.status, "a body came before its answer"
                assert not answer.complete, "a body went on after its end"
                answer.body += message.get("body", b"")
                answer.complete = not message.get("more_body", False)
                if answer.complete:
                    done.set()

        started = time.thread_time()
        try:
            async with Patience(HANG_SECONDS):
                await self._app(self._scope(request), receive, send)
        except Exception as error:  # noqa: BLE001 - whatever leaves the application is a finding
            answer.error = error
        answer.seconds = time.thread_time() - started
        return answer

    def _scope(self, request: Request) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(request.path),
            "raw_path": request.path.encode(),
            "query_string": self.filled(request.query).encode("ascii"),
            "root_path": "",
            "headers": [
                (name.encode(), self.filled(value).strip().encode("latin-1")) for name, value in request.headers
            ],
            "client": ("203.0.113.9", 4711),
            "server": ("127.0.0.1", 80),
            "state": {},
        }

    def usage(self) -> Usage:
        """What is held when nothing is under way."""

        async def tasks() -> int:
            return len(asyncio.all_tasks())

        deadline = time.monotonic() + 5
        found = self.run(tasks())
        while time.monotonic() < deadline:
            time.sleep(0.1)
            found, before = self.run(tasks()), found
            if found == before:
                break
        gc.collect()
        process = psutil.Process()
        return Usage(tasks=found, files=process.num_fds(), memory=process.memory_info().rss)

    def renew(self) -> None:
        """Signs a person in, some times over, and remembers one of each thing that a client may know."""
        self.run(self._renew())

    async def _renew(self) -> None:
        async with httpx2.AsyncClient(
            transport=StreamingASGITransport(self._app), base_url=BASE_URL, timeout=60
        ) as http:
            client = OAuthClient(http=http, redirect_uri=REDIRECT, verifier=VERIFIER)
            ready = await http.get("/readyz")
            assert ready.status_code == 200, f"not ready: {ready.text}"
            await client.register()

            async def code() -> str:
                return await client.code(await self._consent_page(client))

            used_code = await code()
            used = (await client.redeem(used_code)).json()
            await client.refresh(used["refresh_token"])
            # Of sign-ins of their own: who uses a token again later ends the sign-in that it belongs to.
            to_refresh = (await client.redeem(await code())).json()
            to_call = (await client.redeem(await code())).json()
            unused = await code()
            http.cookies.clear()
            page = await self._consent_page(client)
            self.known = {
                **dict.fromkeys(SECRETS, ""),
                **Forms(page.text).fields,
                "client_id": client.client_id,
                "code": unused,
                "used_code": used_code,
                "access_token": to_call["access_token"],
                "refresh_token": to_refresh["refresh_token"],
                "used_refresh_token": used["refresh_token"],
                "cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items()),
            }
            self.valid_bearers |= {tokens["access_token"] for tokens in (used, to_refresh, to_call)}

    def learn(self, request: Request, answer: Answer) -> None:
        """Remembers what a client would take from an answer to its next request."""
        if request.path == "/token" and answer.status == 200 and request.method == "POST":
            tokens = json.loads(answer.body)
            self.valid_bearers.add(tokens["access_token"])
            self.known |= {name: tokens[name] for name in ("access_token", "refresh_token")}
        elif answer.status == 201:
            self.known["client_id"] = json.loads(answer.body)["client_id"]
        elif "/consent?txn_id=" in answer.header("location"):
            self.known["txn_id"] = answer.header("location").partition("txn_id=")[2].partition("&")[0]
        elif request.path == "/consent" and answer.status == 200:
            cookies = [value.decode() for name, value in answer.headers if name.lower() == b"set-cookie"]
            self.known |= Forms(answer.body.decode()).fields
            self.known["cookie"] = "; ".join([self.known["cookie"], *(value.partition(";")[0] for value in cookies)])
        elif found := re.search(rb'"requestState":"([^"\\]+)"', answer.body):
            self.known["request_state"] = found[1].decode()

    async def _consent_page(self, client: OAuthClient) -> httpx2.Response:
        answer = await client.authorize(code_challenge=CHALLENGE)
        return await client.http.get(answer.headers["location"])


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="fuzzed server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        left = asyncio.all_tasks(self.loop)  # sse_starlette has one of its own, for as long as the loop runs
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@contextmanager
def running_server(*, azurite: str, standins: StandIns) -> Generator[Server]:
    """Yields the application with a table of its own and a person signed in; fails if its loop complained."""
    values = {
        **standins.environment(),
        "MCP_BASE_URL": BASE_URL,
        "AzureWebJobsStorage": azurite,
        "MCP_TABLE_NAME": f"Fuzz{uuid4().hex}",
        "MCP_CREATE_TABLE": "true",
        "MCP_REGISTRATIONS_PER_MINUTE": "100000",
        "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100000",
    }
    complaints = Complaints()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in values.items():
            patch.setitem(os.environ, name, value)
        logging.getLogger("asyncio").addHandler(complaints)
        stack.callback(logging.getLogger("asyncio").removeHandler, complaints)
        loop = stack.enter_context(_Loop()).loop
        lifespan = Lifespan(running_app, on_failure=startup_failed, probes=PROBES)
        server = Server(lifespan, loop)
        try:
            server.renew()
            yield server
        finally:
            server.run(lifespan.aclose())
    gc.collect()
    assert complaints.found == []
