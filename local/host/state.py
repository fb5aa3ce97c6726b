"""Which worker answers now: starts it, starts it again when it ends or its files change, and fires its timers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.host.errors import HostError
from local.host.messages import Failed, Function, Loaded
from local.host.process import WorkerProcess
from local.host.report import indexing_failure
from local.host.routes import RouteTable
from local.host.timers import run_timer, timer_data, timers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from local.host.app_settings import HostConfig

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An app that cannot be indexed, and why."""

    errors: list[str]


class AppState:
    """The one app of this host. `configure` reads host.json and the settings again for each start."""

    def __init__(self, *, app: Path, configure: Callable[[], tuple[HostConfig, Mapping[str, str]]]) -> None:
        self._app = app
        self._configure = configure
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
        """Keep a worker running until cancelled."""
        pause = RESTART_SECONDS
        while True:
            self._restart.clear()
            crashed = await self._run_one()
            if crashed:
                logger.error("The worker process ended; starting it again in %.1f s.", pause)
                await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RESTART_SECONDS) if crashed else RESTART_SECONDS

    async def fire(self, running: Running, function: Function, data: str) -> None:
        """Run a function that no HTTP request triggers, to its end."""
        kind = "json" if function.trigger["type"] == "timerTrigger" else "string"
        logger.info("Executing %s.", function.name)
        error = await running.worker.invoke(function, kind=kind, data=data).ended
        if error is None:
            logger.info("Executed %s.", function.name)
        else:
            logger.error("%s failed: %s", function.name, error)

    async def _run_one(self) -> bool:
        """One worker from start to end; True if it ended by itself."""
        worker: WorkerProcess | None = None
        try:
            try:
                config, environment = self._configure()
                worker = WorkerProcess(app=self._app, environment=environment)
                outcome = await self._start(worker)
                if isinstance(outcome, Loaded) and outcome.functions:
                    return await self._serve(worker, outcome, config, environment)
                self._break(outcome if isinstance(outcome, Failed) else Failed(message=NO_FUNCTIONS, stack=""))
            except HostError as error:
                self._break(Failed(message=str(error), stack=""))
            await self._restart.wait()
            return False
        finally:
            self._state = None
            self._settled.clear()
            await self._drain()
            if worker:
                await worker.stop()

    async def _start(self, worker: WorkerProcess) -> Loaded | Failed:
        try:
            return await asyncio.wait_for(worker.start(), INDEXING_SECONDS)
        except TimeoutError:
            return Failed(message=f"Importing function_app.py took longer than {INDEXING_SECONDS} s.", stack="")

    async def _serve(
        self, worker: WorkerProcess, loaded: Loaded, config: HostConfig, environment: Mapping[str, str]
    ) -> bool:
        routes = RouteTable(loaded.functions, prefix=config.route_prefix)
        timers = timers_of(loaded.functions, environment)
        running = Running(worker=worker, functions=loaded.functions, routes=routes)

        async def fire(function: Function) -> None:
            limit = config.function_timeout.total_seconds()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.fire(running, function, timer_data()), limit)

        answers = asyncio.create_task(worker.run())
        restart = asyncio.create_task(self._restart.wait())
        firing = [asyncio.create_task(run_timer(timer, fire)) for timer in timers]
        self._settle(running)
        try:
            await asyncio.wait((answers, restart), return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                return True
            # New requests wait for the next worker; those under way may end while its answers are still taken.
            self._state = None
            self._settled.clear()
            await self._drain()
            return False
        finally:
            for task in (answers, restart, *firing):
                task.cancel()

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), DRAIN_SECONDS)

    def _break(self, failed: Failed) -> None:
        print(indexing_failure(failed), file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
        self._settle(Broken(errors=[failed.message]))

    def _settle(self, state: Running | Broken) -> None:
        self._state = state
        self._settled.set()
