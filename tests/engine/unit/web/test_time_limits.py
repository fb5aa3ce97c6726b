"""The time limit of a request: its client reads it, it ends before the host's, and quick requests do not notice it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import threading
import weakref
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from anyio import from_thread, to_thread
from anyio.to_thread import current_default_thread_limiter
from fastmcp import Context, FastMCP
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from starlette.responses import PlainTextResponse, StreamingResponse

from entra_mcp import cancellation
from entra_mcp.functions.lifespan import START_SECONDS
from entra_mcp.telemetry.calls import Calls
from entra_mcp.telemetry.metrics import Instruments
from entra_mcp.web.body_limit import DISCARDED_BYTES, LINGERING_SECONDS
from entra_mcp.web.edge import COMMENT
from entra_mcp.web.stack import BODY_SECONDS, DISCARDED_SECONDS
from entra_mcp.web.time_limits import GRACE_SECONDS, REQUEST_SECONDS, RequestDeadline, RequestTimeLimit
from tests.support.edge import edged
from tests.support.mcp import SESSIONLESS, protocol_error, refusal, request, structured, tool_call
from tests.support.telemetry import points

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = Path(__file__).parents[4] / "host.json"
SOON = 0.3


class WatchedError(TimeoutError):
    """One that can be watched."""


class Server:
    """Whatever it offers hangs, and writes down when it is cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.cancellations = 0
        self.go_on = threading.Event()
        self.began = asyncio.Event()
        self.cleaned_up = asyncio.Event()
        self.left = asyncio.Event()
        self.failure: weakref.ref[WatchedError] | None = None
        self.reader = InMemoryMetricReader()
        meter = MeterProvider(metric_readers=[self.reader]).get_meter("test")
        self.mcp = FastMCP("limited", middleware=[RequestTimeLimit(), Calls(Instruments(meter))])
        tools = (self.tool, self.stubborn, self.tidy, self.gathering, self.late, self.outer, self.quick, self.fail)
        for each in (*tools, self.threaded, self.block):
            self.mcp.tool(each)
        self.mcp.resource("hanging://resource")(self.resource)
        self.mcp.prompt(self.prompt)
        self.mcp.completion(self.complete)

    async def hang(self, what: str) -> str:
        self.began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.cancelled.append(what)
        return "never"

    async def tool(self) -> str:
        return await self.hang("tool")

    async def resource(self) -> str:
        return await self.hang("resource")

    async def prompt(self) -> str:
        return await self.hang("prompt")

    async def complete(self, *_: object) -> list[str]:
        return [await self.hang("completion")]

    async def stubborn(self) -> None:
        self.began.set()
        while not self.go_on.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                self.cancellations += 1
        raise ValueError("nobody looks")

    async def tidy(self) -> None:
        try:
            await self.hang("tidy")
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            self.cleaned_up.set()

    async def gathering(self) -> None:
        await asyncio.gather(self.tidy(), self.hang("the other"))

    async def threaded(self) -> str:
        await to_thread.run_sync(self.block)
        return await self.hang("after its thread")

    async def late(self) -> str:
        with suppress(asyncio.CancelledError):
            await self.hang("late")
        return "in spite of it"

    async def outer(self, context: Context) -> str:
        return str(await context.fastmcp.call_tool("tidy"))

    async def quick(self) -> int:
        return 1

    async def fail(self) -> None:
        error = WatchedError("of its own")
        self.failure = weakref.ref(error)
        try:
            raise error
        finally:
            del error

    def block(self) -> None:
        from_thread.run_sync(self.began.set)
        self.go_on.wait(30)

    @asynccontextmanager
    async def serving(self, *, seconds: float = SOON) -> AsyncGenerator[httpx2.AsyncClient]:
        app = self.mcp.http_app(path="/mcp", stateless_http=True)

        async def until_left(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                self.left.set()

        limited = edged(RequestDeadline(until_left, seconds=seconds))
        transport = StreamingASGITransport(limited, cancel_on_close=False)
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http
        self.go_on.set()


COMPLETION = {"ref": {"type": "ref/prompt", "name": "prompt"}, "argument": {"name": "x", "value": ""}}
TOLD = f"This took longer than {SOON:g} s, and was ended. Ask for less."


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
@pytest.mark.parametrize(
    ("method", "params", "what"),
    [
        ("resources/read", {"uri": "hanging://resource"}, "resource"),
        ("prompts/get", {"name": "prompt"}, "prompt"),
        ("completion/complete", COMPLETION, "completion"),
    ],
)
async def test_request_that_takes_too_long_is_cancelled_and_gets_an_error_in_its_own_answer(
    method: str, params: dict[str, Any], what: str, protocol: str
) -> None:
    server = Server()
    async with server.serving() as http:
        answer = await http.post("/mcp", **request(method, params, protocol=protocol))

    assert protocol_error(answer) == {"code": -32603, "message": TOLD}
    assert server.cancelled == [what]


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_that_takes_too_long_is_cancelled_told_of_and_counted(protocol: str) -> None:
    server = Server()
    async with server.serving() as http:
        answer = await http.post("/mcp", **tool_call("tool", protocol=protocol))

    assert refusal(answer) == TOLD
    assert server.cancelled == ["tool"]
    counted = points(server.reader, "mcp.server.operation.duration")
    assert counted[("error.type", "timeout"), ("gen_ai.tool.name", "tool"), ("mcp.method.name", "tools/call")] == 1


async def test_tool_that_blocks_a_thread_keeps_nobody_waiting() -> None:
    server = Server()
    async with server.serving() as http:
        blocked = asyncio.create_task(http.post("/mcp", **tool_call("block")))
        assert structured(await http.post("/mcp", **tool_call("quick"))) == {"result": 1}
        assert refusal(await blocked) == TOLD
        assert not server.go_on.is_set(), "the thread goes on"


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_that_ignores_its_cancellation_keeps_nobody_waiting(
    protocol: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "CANCEL_SECONDS", 0.05)
    server = Server()
    async with server.serving() as http:
        assert refusal(await http.post("/mcp", **tool_call("stubborn", protocol=protocol))) == TOLD
        assert "tools/call stubborn ignores its cancellation" in caplog.text
        server.go_on.set()
        async with asyncio.timeout(10):
            while not (counted := points(server.reader, "mcp.server.operation.duration")):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
    assert counted[("error.type", "timeout"), ("gen_ai.tool.name", "stubborn"), ("mcp.method.name", "tools/call")] == 1
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_tool_that_another_tool_calls_is_ended_once_and_cleans_up(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    async with server.serving() as http:
        assert refusal(await http.post("/mcp", **tool_call("outer"))) == TOLD
        assert server.cleaned_up.is_set()
    assert [line for line in caplog.messages if "was ended" in line] == [
        f"tools/call outer was ended after {SOON:g} s."
    ]


async def test_failure_is_gone_with_its_request() -> None:
    server = Server()
    logging.disable(logging.ERROR)  # the records would keep it
    gc.disable()
    try:
        async with server.serving() as http:
            await http.post("/mcp", **tool_call("fail"))
            assert server.failure is not None
            assert server.failure() is None
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_cleans_up_when_its_time_is_over(protocol: str) -> None:
    server = Server()
    async with server.serving() as http:
        assert refusal(await http.post("/mcp", **tool_call("tidy", protocol=protocol))) == TOLD
        assert server.cleaned_up.is_set()


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_cleans_up_when_its_client_leaves(protocol: str) -> None:
    server = Server()
    async with server.serving(seconds=60) as http, asyncio.timeout(10):
        await leave(http, server, "tidy", protocol)
        await server.cleaned_up.wait()


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_thread_of_a_client_that_left_keeps_its_place_and_no_request_open(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "CANCEL_SECONDS", 0.05)
    server = Server()
    threads = current_default_thread_limiter()
    async with server.serving(seconds=2) as http, asyncio.timeout(10):
        await leave(http, server, "block", protocol)
        await server.left.wait()
        assert threads.borrowed_tokens == 1
        while threads.borrowed_tokens:  # noqa: ASYNC110 - the limiter has no event
            await asyncio.sleep(0.01)
        assert not server.go_on.is_set(), "the thread goes on"


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_that_ignores_that_its_client_left_leaves_the_processor_alone(
    protocol: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "CANCEL_SECONDS", 0.05)
    server = Server()
    async with server.serving(seconds=60) as http, asyncio.timeout(10):
        await leave(http, server, "stubborn", protocol)
        while "stubborn ignores its cancellation" not in caplog.text:  # noqa: ASYNC110 - the log has no event
            await asyncio.sleep(0.01)
        before = server.cancellations
        for _ in range(1000):
            await asyncio.sleep(0)
        assert server.cancellations == before


async def test_tool_whose_parts_run_at_once_cleans_up_when_its_client_leaves() -> None:
    server = Server()
    async with server.serving(seconds=60) as http, asyncio.timeout(10):
        await leave(http, server, "gathering", "2025-11-25")
        await server.cleaned_up.wait()


async def test_tool_with_a_thread_ends_after_it_when_its_client_has_left() -> None:
    server = Server()
    async with server.serving(seconds=60) as http, asyncio.timeout(10):
        await leave(http, server, "threaded", "2025-11-25")
        await server.left.wait()
        server.go_on.set()
        while server.cancelled != ["after its thread"]:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)


async def test_what_a_tool_returns_after_its_limit_is_dropped() -> None:
    server = Server()
    async with server.serving() as http:
        assert refusal(await http.post("/mcp", **tool_call("late"))) == TOLD
    counted = points(server.reader, "mcp.server.operation.duration")
    assert counted[("error.type", "timeout"), ("gen_ai.tool.name", "late"), ("mcp.method.name", "tools/call")] == 1


async def test_timeout_of_the_tool_itself_is_not_taken_for_the_limit() -> None:
    async with Server().serving(seconds=60) as http:
        assert "took longer than" not in refusal(await http.post("/mcp", **tool_call("fail")))


async def leave(http: httpx2.AsyncClient, server: Server, tool: str, protocol: str) -> None:
    """Begins a call, and gives it up as soon as the tool runs."""
    call = asyncio.create_task(http.post("/mcp", **tool_call(tool, protocol=protocol)))
    await server.began.wait()
    call.cancel()


async def over(app: ASGIApp) -> httpx2.Response:
    limited = edged(RequestDeadline(app, seconds=0.05, grace=0.05))
    async with httpx2.AsyncClient(transport=StreamingASGITransport(limited), base_url="http://localhost") as http:
        return await http.get("/")


async def run(app: ASGIApp) -> None:
    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        pass

    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await edged(RequestDeadline(app, seconds=0.05, grace=0.05))(scope, receive, send)


async def hang(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.get_running_loop().create_future()


async def test_request_without_an_answer_is_503_after_the_deadline() -> None:
    answer = await over(hang)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"] == "temporarily_unavailable"


async def endless() -> AsyncGenerator[bytes]:
    yield b"data: 1\n\n"
    await asyncio.get_running_loop().create_future()


async def test_stream_of_events_is_ended_after_the_deadline() -> None:
    answer = await over(StreamingResponse(endless(), media_type="text/event-stream"))
    assert answer.content == COMMENT + b"data: 1\n\n"


async def test_half_of_another_answer_is_broken_off() -> None:
    with pytest.raises(TimeoutError):
        await run(StreamingResponse(endless(), media_type="text/plain"))


async def test_timeout_of_the_application_is_not_taken_for_the_deadline() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("of its own")

    assert (await over(failing)).status_code == 500


async def test_quick_answer_is_left_alone() -> None:
    assert (await over(PlainTextResponse("quick"))).text == "quick"


def test_whole_of_a_request_fits_well_into_the_limit_of_the_functions_host() -> None:
    found = re.fullmatch(r"(\d\d):(\d\d):(\d\d)", json.loads(HOST.read_text())["functionTimeout"])
    assert found
    hours, minutes, seconds = (int(part) for part in found.groups())
    longest = START_SECONDS + REQUEST_SECONDS + GRACE_SECONDS + DISCARDED_SECONDS + LINGERING_SECONDS

    assert BODY_SECONDS < REQUEST_SECONDS
    assert DISCARDED_BYTES
    assert 1.5 * longest <= timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
