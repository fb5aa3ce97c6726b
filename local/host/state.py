"""Which worker answers now: starts it, starts it again when it ends or its files change, and fires its timers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.host.application_insights import ApplicationInsights
from local.host.errors import AppBrokenError, HostError
from local.host.log import AppLog
from local.host.messages import Failed, Function, Loaded
from local.host.process import WorkerProcess
from local.host.report import NOT_STARTED, RESTARTED, indexing_failure, reason
from local.host.routes import RouteTable
from local.host.timers import run_timer, timer_data, timers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from local.host.process import Invocation
    from local.host.settings_files import HostConfig

DRAIN_SECONDS = 2.0
RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 8.0
INDEXING_SECONDS = 120
"""The limit that Azure has, too."""
NO_FUNCTIONS = "function_app.py is missing, or defines no functions."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An app that answers."""

    worker: WorkerProcess
    functions: list[Function]
    routes: RouteTable
    turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """One for each function without an address: it never runs twice at the same time, whoever fires it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An app that cannot be indexed, and why."""

    errors: list[str]


class AppState:
    """The one app of this host. `configure` reads host.json and the settings again for each start.

    An app that cannot be indexed ends `run` with AppBrokenError, unless it is `watched`: then its next change is
    waited for, and `tell` gets a line about every start but a successful first one.
    """

    def __init__(
        self,
        *,
        app: Path,
        configure: Callable[[], tuple[HostConfig, Mapping[str, str]]],
        watched: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._app = app
        self._configure = configure
        self._watched = watched
        self._tell = tell
        self.log = AppLog(sys.stderr)
        self._starts = 0
        self._state: Running | Broken | None = None
        self._settled = asyncio.Event()
        self._restart = asyncio.Event()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def current(self) -> Running | Broken | None:
        """None while the worker starts."""
        return self._state

    async def settled(self) -> Running | Broken:
        """Wait for the end of a start."""
        while self._state is None:
            await self._settled.wait()
        return self._state

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
                crashed = await self._run_one()
            except AppBrokenError as error:
                self._settle(Broken(errors=[str(error)]))  # requests that wait are answered
                raise
            if crashed:
                logger.error("The worker process ended; starting it again in %.1f s.", pause)
                await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RESTART_SECONDS) if crashed else RESTART_SECONDS

    async def fire(self, running: Running, function: Function) -> None:
        """Run a timer's function to its end; a run of it that is under way goes first."""
        async with running.turns[function.name]:
            logger.info("Executing %s.", function.name)
            invocation = running.worker.invoke(function, kind="json", data=timer_data())
            error = await invocation.ended
        self.ended(invocation, error=error)
        if error is None:
            logger.info("Executed %s.", function.name)
        else:
            logger.error("%s failed: %s", function.name, error)

    def ended(self, invocation: Invocation, *, error: str | None, status: int | None = None) -> None:
        """Tell Application Insights of it, where the app names an account."""
        if self.log.telemetry is not None:
            self.log.telemetry.ended(invocation, error=error, seconds=time.time() - invocation.began, status=status)

    async def _run_one(self) -> bool:
        """One worker from start to end; True if it ended by itself."""
        worker: WorkerProcess | None = None
        sending: asyncio.Task[None] | None = None
        try:
            try:
                config, environment = self._configure()
                self.log.telemetry = _telemetry(config, environment)
                sending = asyncio.create_task(self.log.telemetry.run()) if self.log.telemetry else None
                worker = WorkerProcess(
                    app=self._app,
                    environment=environment,
                    limit=config.function_timeout,
                    on_timeout=self.restart,
                    log=self.log,
                )
                outcome = await self._start(worker)
                if isinstance(outcome, Loaded) and outcome.functions:
                    return await self._serve(worker, outcome, config)
                failed = outcome if isinstance(outcome, Failed) else Failed(message=NO_FUNCTIONS, stack="")
            except HostError as error:
                failed = Failed(message=str(error), stack="")
            self._break(failed)
            await self._restart.wait()
            return False
        finally:
            self._state = None
            self._settled.clear()
            if worker:
                await worker.stop()
            if sending:
                sending.cancel()
                await asyncio.wait((sending,))

    async def _start(self, worker: WorkerProcess) -> Loaded | Failed:
        try:
            return await asyncio.wait_for(worker.start(), INDEXING_SECONDS)
        except TimeoutError:
            return Failed(message=f"Importing function_app.py took longer than {INDEXING_SECONDS} s.", stack="")

    async def _serve(self, worker: WorkerProcess, loaded: Loaded, config: HostConfig) -> bool:
        routes = RouteTable(loaded.functions, prefix=config.route_prefix)
        timers = timers_of(loaded.functions)
        running = Running(worker=worker, functions=loaded.functions, routes=routes)

        async def fire(function: Function) -> None:
            await self.fire(running, function)

        answers = asyncio.create_task(worker.run())
        restart = asyncio.create_task(self._restart.wait())
        firing = [asyncio.create_task(run_timer(timer, fire)) for timer in timers]
        self._settle(running)
        self._starts += 1
        if self._starts > 1:
            self._say(RESTARTED)
        try:
            await asyncio.wait((answers, restart), return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                return True
            # New requests wait for the next worker; those under way may end while its answers are still taken.
            self._state = None
            self._settled.clear()
            for task in firing:
                task.cancel()
            await self._drain()
            return False
        finally:
            for task in (answers, restart, *firing):
                task.cancel()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_SECONDS)

    def _break(self, failed: Failed) -> None:
        if not self._watched:
            raise AppBrokenError(indexing_failure(failed))
        print(indexing_failure(failed), file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
        self._starts += 1
        self._say(f"{NOT_STARTED}{reason(failed)}")
        self._settle(Broken(errors=[failed.message]))

    def _say(self, line: str) -> None:
        if self._tell:
            self._tell(line)

    def _settle(self, state: Running | Broken) -> None:
        self._state = state
        self._settled.set()


def _telemetry(config: HostConfig, environment: Mapping[str, str]) -> ApplicationInsights | None:
    connection = environment.get("APPLICATIONINSIGHTS_CONNECTION_STRING")
    if not connection:
        return None
    return ApplicationInsights(connection, log_levels=config.log_levels, certificates=environment.get("SSL_CERT_FILE"))
