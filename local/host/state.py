"""Which worker answers now: starts it, starts it again when it ends or its files change, and fires its timers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.host.application_insights import ApplicationInsights
from local.host.errors import AppBrokenError, HostError
from local.host.log import AppLog
from local.host.messages import Failed, Loaded
from local.host.process import WorkerProcess
from local.host.queues import Listener, connection_string
from local.host.report import NOT_STARTED, RESTARTED, indexing_failure, reason
from local.host.routes import RouteTable
from local.host.timers import Timer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping
    from pathlib import Path

    from local.host.settings_files import HostConfig

DRAIN_SECONDS = 2.0
RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 8.0
INDEXING_SECONDS = 120
"""The limit that Azure has, too."""
NO_FUNCTIONS = "function_app.py is missing, or defines no functions."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An app that answers."""

    worker: WorkerProcess
    routes: RouteTable
    timers: dict[str, Timer]
    queues: list[Listener]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An app that cannot be indexed, and why."""

    errors: list[str]


class AppState:
    """The one app of this host. `configure` reads host.json and the settings again for each start.

    An app that cannot be indexed ends `run` with AppBrokenError, unless it is `watched`: then its next change is
    waited for, and the log has a line about every start but a successful first one.
    """

    def __init__(
        self,
        *,
        app: Path,
        configure: Callable[[], tuple[HostConfig, Mapping[str, str]]],
        watched: bool,
    ) -> None:
        self.log = AppLog()
        self.current: Running | Broken | None = None
        """None while the worker starts."""
        self._app = app
        self._configure = configure
        self._watched = watched
        self._starts = 0
        self._settled = asyncio.Event()
        self._restart = asyncio.Event()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def settled(self) -> Running | Broken:
        """Wait for the end of a start."""
        while self.current is None:
            await self._settled.wait()
        return self.current

    @contextlib.contextmanager
    def request(self) -> Generator[None]:
        """Marks a request under way, which a restart lets end for a moment."""
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    def restart(self) -> None:
        self._restart.set()

    async def run(self) -> None:
        """Keep a worker running until cancelled; raises AppBrokenError."""
        pause = RESTART_SECONDS
        while True:
            self._restart.clear()
            try:
                async with contextlib.AsyncExitStack() as stack:
                    crashed = await self._run_one(stack)
            except AppBrokenError as error:
                self._settle(Broken(errors=[str(error)]))  # requests that wait are answered
                raise
            if crashed:
                logger.error("The worker process ended; starting it again in %.1f s.", pause)
                await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_RESTART_SECONDS) if crashed else RESTART_SECONDS

    async def _run_one(self, stack: contextlib.AsyncExitStack) -> bool:
        """One worker from start to end; True if it ended by itself."""
        try:
            try:
                config, environment = self._configure()
                self.log.telemetry = await stack.enter_async_context(_telemetry(config, environment))
                worker = WorkerProcess(
                    app=self._app,
                    environment=environment,
                    limit=config.function_timeout,
                    on_timeout=self.restart,
                    log=self.log,
                )
                stack.push_async_callback(worker.stop)
                outcome = await _started(worker)
                if outcome is None:
                    return True
                if isinstance(outcome, Loaded):
                    return await self._serve(_running(worker, outcome, config, environment))
            except HostError as error:
                outcome = Failed(message=str(error))
            self._break(outcome)
            await self._restart.wait()
            return False
        finally:
            self._settle(None)

    async def _serve(self, running: Running) -> bool:
        answers = asyncio.create_task(running.worker.run())
        restart = asyncio.create_task(self._restart.wait())
        listening = [asyncio.create_task(each.run()) for each in (*running.timers.values(), *running.queues)]
        self._settle(running)
        self._starts += 1
        if self._starts > 1:
            print(RESTARTED, file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
        try:
            await asyncio.wait((answers, restart), return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                return True
            # New requests wait for the next worker; those under way may end while its answers are still taken.
            self._settle(None)
            for task in listening:
                task.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), DRAIN_SECONDS)
            return False
        finally:
            tasks = (answers, restart, *listening)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _break(self, failed: Failed) -> None:
        if not self._watched:
            raise AppBrokenError(indexing_failure(failed))
        self._starts += 1
        said = f"{indexing_failure(failed)}\n{NOT_STARTED}{reason(failed)}"
        print(said, file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
        self._settle(Broken(errors=[failed.message]))

    def _settle(self, state: Running | Broken | None) -> None:
        self.current = state
        self._settled.set() if state else self._settled.clear()


def _running(worker: WorkerProcess, loaded: Loaded, config: HostConfig, environment: Mapping[str, str]) -> Running:
    """Raises UnsupportedError for a function that this host cannot run."""
    timers = {
        function.name: Timer(function, worker)
        for function in loaded.functions
        if function.trigger["type"] == "timerTrigger"
    }
    queues = [
        Listener(function, worker, connection_string=connection_string(function, environment), options=config.queues)
        for function in loaded.functions
        if function.trigger["type"] == "queueTrigger"
    ]
    routes = RouteTable(loaded.functions, prefix=config.route_prefix)
    return Running(worker=worker, routes=routes, timers=timers, queues=queues)


async def _started(worker: WorkerProcess) -> Loaded | Failed | None:
    try:
        outcome = await asyncio.wait_for(worker.start(), INDEXING_SECONDS)
    except TimeoutError:
        return Failed(message=f"Importing function_app.py took longer than {INDEXING_SECONDS} s.")
    return Failed(message=NO_FUNCTIONS) if isinstance(outcome, Loaded) and not outcome.functions else outcome


@contextlib.asynccontextmanager
async def _telemetry(config: HostConfig, environment: Mapping[str, str]) -> AsyncGenerator[ApplicationInsights | None]:
    """Sends until the end of the block, where the app names an account of Application Insights."""
    connection = environment.get("APPLICATIONINSIGHTS_CONNECTION_STRING")
    if not connection:
        yield None
        return
    made = ApplicationInsights(connection, log_levels=config.log_levels, certificates=environment.get("SSL_CERT_FILE"))
    sending = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        sending.cancel()
        await asyncio.wait((sending,))
