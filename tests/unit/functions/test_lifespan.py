"""The application starts once, is shared by all, and comes back after it failed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from entra_mcp.functions.lifespan import Lifespan, LifespanClosed, LifespanEnded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Dependency:
    """An application whose start-up can be slow, fail, or end by itself."""

    def __init__(self, *, failures: int = 0, seconds: float = 0.0) -> None:
        self.failures = failures
        self.seconds = seconds
        self.entered = 0
        self.left = 0
        self.entering_task: asyncio.Task[object] | None = None
        self.leaving_task: asyncio.Task[object] | None = None
        self.break_down = asyncio.Event()

    @asynccontextmanager
    async def running_app(self) -> AsyncGenerator[ASGIApp]:
        self.entered += 1
        self.entering_task = asyncio.current_task()
        await asyncio.sleep(self.seconds)
        if self.entered <= self.failures:
            raise ConnectionError(f"attempt {self.entered}")
        try:
            async with asyncio.TaskGroup() as tasks:
                breaking = tasks.create_task(self._break())
                yield PlainTextResponse(f"run {self.entered}")
                breaking.cancel()
        finally:
            self.left += 1
            self.leaving_task = asyncio.current_task()

    async def _break(self) -> None:
        await self.break_down.wait()
        self.break_down.clear()
        raise ConnectionError("broken down")


def lifespan(dependency: Dependency, *, backoff: float = 0.05, start_seconds: float = 5.0) -> Lifespan:
    return Lifespan(
        dependency.running_app,
        on_failure=lambda error: PlainTextResponse(f"{type(error).__name__}: {error}", 503),
        early={"/healthz": PlainTextResponse("alive")},
        backoff=backoff,
        start_seconds=start_seconds,
    )


async def get(app: ASGIApp, path: str = "/") -> str:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    await app({"type": "http", "path": path, "method": "GET", "headers": []}, receive, send)
    return cast("bytes", messages[1]["body"]).decode()


async def test_start_is_entered_once_by_many_requests() -> None:
    dependency = Dependency(seconds=0.05)
    app = lifespan(dependency)

    assert set(await asyncio.gather(*(get(app) for _ in range(64)))) == {"run 1"}
    assert dependency.entered == 1


async def test_eager_start_and_first_request_share_one_attempt() -> None:
    dependency = Dependency(seconds=0.02)
    app = lifespan(dependency)
    app.start()
    app.start()

    assert await get(app) == "run 1"
    assert dependency.entered == 1


async def test_early_path_answers_without_starting() -> None:
    dependency = Dependency(seconds=30)
    app = lifespan(dependency)

    assert await get(app, "/healthz") == "alive"
    assert dependency.entered == 0


async def test_waiters_share_one_failed_attempt_and_its_error() -> None:
    dependency = Dependency(failures=1, seconds=0.02)
    app = lifespan(dependency, backoff=30)

    assert set(await asyncio.gather(*(get(app) for _ in range(20)))) == {"ConnectionError: attempt 1"}
    assert await get(app) == "ConnectionError: attempt 1"
    assert dependency.entered == 1


async def test_request_after_the_pause_starts_again() -> None:
    dependency = Dependency(failures=1)
    app = lifespan(dependency)

    assert await get(app) == "ConnectionError: attempt 1"
    await asyncio.sleep(0.06)
    assert await get(app) == "run 2"


async def test_pause_doubles_while_failures_go_on() -> None:
    dependency = Dependency(failures=3)
    app = lifespan(dependency, backoff=0.1)
    await get(app)
    await asyncio.sleep(0.11)
    await get(app)
    await asyncio.sleep(0.11)

    assert await get(app) == "ConnectionError: attempt 2"
    await asyncio.sleep(0.1)
    assert await get(app) == "ConnectionError: attempt 3"


async def test_start_that_hangs_fails_in_time() -> None:
    app = lifespan(Dependency(seconds=30), start_seconds=0.05)

    assert (await get(app)).startswith("TimeoutError")


async def test_application_that_ends_by_itself_is_started_again() -> None:
    dependency = Dependency()
    app = lifespan(dependency, backoff=0.02)
    assert await get(app) == "run 1"
    dependency.break_down.set()
    await asyncio.sleep(0.01)

    assert (await get(app)).startswith(LifespanEnded.__name__)
    await asyncio.sleep(0.03)
    assert await get(app) == "run 2"


async def test_one_task_enters_and_leaves() -> None:
    dependency = Dependency()
    app = lifespan(dependency)
    await get(app)
    await app.aclose()

    assert dependency.left == 1
    assert dependency.entering_task is dependency.leaving_task is not asyncio.current_task()


async def test_cancelled_waiter_leaves_the_attempt_to_the_others() -> None:
    dependency = Dependency(seconds=0.05)
    app = lifespan(dependency)
    waiting = asyncio.create_task(get(app))
    other = asyncio.create_task(get(app))
    await asyncio.sleep(0.01)
    waiting.cancel()

    assert await other == "run 1"
    assert dependency.entered == 1


@pytest.mark.parametrize("started", [True, False])
async def test_closed_application_refuses_and_stays_closed(started: bool) -> None:
    dependency = Dependency()
    app = lifespan(dependency)
    if started:
        await get(app)
    await app.aclose()
    await app.aclose()

    assert (await get(app)).startswith(LifespanClosed.__name__)
    assert await get(app, "/healthz") == "alive"
    assert dependency.left == int(started)


async def test_close_during_start_releases_those_who_wait() -> None:
    dependency = Dependency(seconds=30)
    app = lifespan(dependency)
    waiting = asyncio.create_task(get(app))
    await asyncio.sleep(0.01)
    await app.aclose()

    assert (await asyncio.wait_for(waiting, 2)).startswith(LifespanClosed.__name__)


async def test_cancelled_process_leaves_the_context(caplog: pytest.LogCaptureFixture) -> None:
    dependency = Dependency()
    app = lifespan(dependency)
    await get(app)
    assert dependency.entering_task is not None
    dependency.entering_task.cancel()
    await asyncio.wait((dependency.entering_task,))

    assert dependency.left == 1


def test_error_in_the_application_is_the_application_s() -> None:
    @asynccontextmanager
    async def running_app() -> AsyncGenerator[ASGIApp]:
        async def failing(scope: Scope, receive: Receive, send: Send) -> None:
            raise ValueError("from the application")

        yield failing

    app = Lifespan(running_app, on_failure=lambda _: PlainTextResponse("never", 503))
    with pytest.raises(ValueError, match="from the application"):
        TestClient(app).get("/")
