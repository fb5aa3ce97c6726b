"""The application starts once, is shared by all, and comes back after it failed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from azure_functions_runtime import invocation_id_cv
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from entra_mcp.errors import EntraMcpError, SettingFault, SettingsError, StorageError
from entra_mcp.functions import lifespan as module
from entra_mcp.functions.lifespan import Lifespan, LifespanClosed, LifespanEnded
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextvars import ContextVar

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATIENCE = 30.0
"""Seconds after which a test that waits for something that will never happen fails."""

MOMENT = 0.001


class Dependency:
    """An application whose start-up can wait for a test, fail, or end by itself."""

    def __init__(self, *, failures: int = 0, held: bool = False) -> None:
        self.failures = failures
        self.entered = 0
        self.left = 0
        self.entering_task: asyncio.Task[object] | None = None
        self.leaving_task: asyncio.Task[object] | None = None
        self.entering = asyncio.Event()
        self.break_down = asyncio.Event()
        self.release = asyncio.Event()
        if not held:
            self.release.set()

    @asynccontextmanager
    async def running_app(self) -> AsyncGenerator[ASGIApp]:
        self.entered += 1
        self.entering_task = asyncio.current_task()
        self.entering.set()
        await self.release.wait()
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


def lifespan(dependency: Dependency, *, clock: Clock | None = None) -> Lifespan:
    return Lifespan(
        dependency.running_app,
        on_failure=lambda error: PlainTextResponse(f"{type(error).__name__}: {error}", 503),
        probes={"/healthz": PlainTextResponse("alive")},
        clock=clock or Clock(),
    )


async def get(app: ASGIApp, path: str = "/") -> str:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    async with asyncio.timeout(PATIENCE):
        await app({"type": "http", "path": path, "method": "GET", "headers": []}, receive, send)
    return cast("bytes", messages[1]["body"]).decode()


async def waiting(app: ASGIApp, dependency: Dependency, *, count: int) -> list[asyncio.Task[str]]:
    """Requests that wait for an attempt which is under way."""
    tasks = [asyncio.create_task(get(app)) for _ in range(count)]
    async with asyncio.timeout(PATIENCE):
        await dependency.entering.wait()
    # All tasks were scheduled before the one that the first of them made, which has run.
    assert not any(task.done() for task in tasks)
    return tasks


async def break_down(dependency: Dependency) -> None:
    """Ends the running application, and returns when the lifespan knows."""
    assert dependency.entering_task is not None
    dependency.break_down.set()
    await asyncio.wait((dependency.entering_task,), timeout=PATIENCE)
    assert dependency.entering_task.done()


async def test_start_is_entered_once_by_many_requests() -> None:
    dependency = Dependency(held=True)
    tasks = await waiting(lifespan(dependency), dependency, count=64)
    dependency.release.set()

    assert set(await asyncio.gather(*tasks)) == {"run 1"}
    assert dependency.entered == 1


async def test_eager_start_and_first_request_share_one_attempt() -> None:
    dependency = Dependency(held=True)
    app = lifespan(dependency)
    app.start()
    app.start()
    tasks = await waiting(app, dependency, count=1)
    dependency.release.set()

    assert await asyncio.gather(*tasks) == ["run 1"]
    assert dependency.entered == 1


async def test_running_application_serves_every_later_request() -> None:
    dependency, clock = Dependency(), Clock()
    app = lifespan(dependency, clock=clock)
    assert await get(app) == "run 1"
    clock.advance(3600)
    app.start()

    assert await get(app) == "run 1"
    assert (dependency.entered, dependency.left) == (1, 0)


async def test_early_path_answers_without_starting() -> None:
    dependency = Dependency(held=True)
    app = lifespan(dependency)

    assert await get(app, "/healthz") == "alive"
    assert dependency.entered == 0


async def test_early_path_answers_during_the_start() -> None:
    dependency = Dependency(held=True)
    app = lifespan(dependency)
    (task,) = await waiting(app, dependency, count=1)

    assert await get(app, "/healthz") == "alive"
    assert not task.done()
    await app.aclose()
    await task


async def test_waiters_share_one_failed_attempt_and_its_error() -> None:
    dependency = Dependency(failures=1, held=True)
    app = lifespan(dependency)
    tasks = await waiting(app, dependency, count=20)
    dependency.release.set()

    assert set(await asyncio.gather(*tasks)) == {"ConnectionError: attempt 1"}
    assert await get(app) == "ConnectionError: attempt 1"
    assert dependency.entered == 1


async def test_request_after_the_pause_starts_again() -> None:
    dependency, clock = Dependency(failures=1), Clock()
    app = lifespan(dependency, clock=clock)

    assert await get(app) == "ConnectionError: attempt 1"
    clock.advance(0.5 - MOMENT)
    assert await get(app) == "ConnectionError: attempt 1"
    clock.advance(MOMENT * 2)
    assert await get(app) == "run 2"


async def test_pause_is_measured_from_the_end_of_the_attempt() -> None:
    dependency, clock = Dependency(failures=1, held=True), Clock()
    app = lifespan(dependency, clock=clock)
    tasks = await waiting(app, dependency, count=1)
    clock.advance(20)
    dependency.release.set()
    await asyncio.gather(*tasks)

    assert await get(app) == "ConnectionError: attempt 1"
    clock.advance(1)
    assert await get(app) == "run 2"


async def test_pause_doubles_up_to_its_limit_while_failures_go_on() -> None:
    dependency, clock = Dependency(failures=7), Clock()
    app = lifespan(dependency, clock=clock)
    for attempt, pause in enumerate((0.5, 1, 2, 4, 8, 8), start=1):
        assert await get(app) == f"ConnectionError: attempt {attempt}"
        clock.advance(pause - MOMENT)
        assert await get(app) == f"ConnectionError: attempt {attempt}"
        clock.advance(MOMENT * 2)

    assert await get(app) == "ConnectionError: attempt 7"


async def test_pause_is_short_again_after_a_run() -> None:
    dependency, clock = Dependency(failures=3), Clock()
    app = lifespan(dependency, clock=clock)
    for pause in (0.5, 1, 2):
        await get(app)
        clock.advance(pause)
    assert await get(app) == "run 4"
    await break_down(dependency)
    clock.advance(0.5)

    assert await get(app) == "run 5"


async def test_pause_is_measured_in_real_time_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", MOMENT)
    dependency = Dependency(failures=1)
    app = Lifespan(dependency.running_app, on_failure=lambda _: PlainTextResponse("down", 503))
    assert await get(app) == "down"
    await asyncio.sleep(MOMENT * 20)

    assert await get(app) == "run 2"


async def test_start_that_hangs_fails_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_SECONDS", MOMENT)

    assert (await get(lifespan(Dependency(held=True)))).startswith("TimeoutError")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StorageError("does not answer"), "table_storage: does not answer"),
        (
            SettingsError(
                [SettingFault(setting="A", problem="is missing"), SettingFault(setting="B", problem="is no URL")]
            ),
            "The settings have 2 fault(s): A: is missing; B: is no URL",
        ),
    ],
)
async def test_fault_that_the_server_names_is_one_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture, error: Exception, line: str
) -> None:
    @asynccontextmanager
    async def faulty() -> AsyncGenerator[ASGIApp]:
        raise error
        yield

    await get(Lifespan(faulty, on_failure=lambda _: PlainTextResponse("down", 503)))
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]

    assert record.getMessage() == f"The application did not start; the next request tries again: {line}"
    assert record.exc_info is None


@pytest.mark.parametrize("error", [EntraMcpError(), BaseExceptionGroup("several", [GeneratorExit()])])
async def test_fault_without_words_or_beyond_exceptions_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    entered, clock = 0, Clock()

    @asynccontextmanager
    async def faulty() -> AsyncGenerator[ASGIApp]:
        nonlocal entered
        entered += 1
        raise error
        yield

    app = Lifespan(faulty, on_failure=lambda _: PlainTextResponse("down", 503), clock=clock)
    for attempts in (1, 2):
        assert await get(app) == "down"
        assert entered == attempts
        clock.advance(60)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2


async def test_unforeseen_fault_of_the_start_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await get(lifespan(Dependency(failures=1)))

    assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True]


async def test_start_begun_by_a_request_belongs_to_no_invocation() -> None:
    """What runs for the life of the process would log in the name of a request that has ended long ago."""
    seen: list[str | None] = []
    variable = cast("ContextVar[str | None]", invocation_id_cv)

    @asynccontextmanager
    async def looking() -> AsyncGenerator[ASGIApp]:
        seen.append(variable.get())
        yield PlainTextResponse("")

    token = variable.set("1")
    app = Lifespan(looking, on_failure=lambda _: PlainTextResponse("down", 503))
    await get(app)
    variable.reset(token)
    await app.aclose()

    assert seen == [None]


async def test_application_that_ends_by_itself_is_started_again() -> None:
    dependency, clock = Dependency(), Clock()
    app = lifespan(dependency, clock=clock)
    assert await get(app) == "run 1"
    await break_down(dependency)

    assert (await get(app)).startswith(LifespanEnded.__name__)
    clock.advance(1)
    assert await get(app) == "run 2"


async def test_one_task_enters_and_leaves() -> None:
    dependency = Dependency()
    app = lifespan(dependency)
    await get(app)
    await app.aclose()

    assert dependency.left == 1
    assert dependency.entering_task is dependency.leaving_task is not asyncio.current_task()


async def test_cancelled_waiter_leaves_the_attempt_to_the_others() -> None:
    dependency = Dependency(held=True)
    first, other = await waiting(lifespan(dependency), dependency, count=2)
    first.cancel()
    await asyncio.wait((first,))
    dependency.release.set()

    assert await other == "run 1"
    assert dependency.entered == 1


@pytest.mark.parametrize("started", [True, False])
async def test_closed_application_refuses_and_stays_closed(started: bool) -> None:
    dependency, clock = Dependency(), Clock()
    app = lifespan(dependency, clock=clock)
    if started:
        await get(app)
    await app.aclose()
    await app.aclose()
    clock.advance(3600)

    assert (await get(app)).startswith(LifespanClosed.__name__)
    assert await get(app, "/healthz") == "alive"
    assert dependency.left == dependency.entered == int(started)


async def test_close_during_start_releases_those_who_wait() -> None:
    dependency = Dependency(held=True)
    app = lifespan(dependency)
    (task,) = await waiting(app, dependency, count=1)
    await app.aclose()

    assert (await task).startswith(LifespanClosed.__name__)


async def test_cancelled_process_leaves_the_context() -> None:
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
