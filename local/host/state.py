"""Which worker answers now: starts it, starts it again when it ends or its files change, and fires its timers."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2

from local.host.application_insights import ApplicationInsights
from local.host.errors import AppBrokenError, HostError
from local.host.log import AppLog
from local.host.process import WorkerProcess, start_process
from local.host.queues import Listener
from local.host.report import NOT_READY, NOT_STARTED, RESTARTED
from local.host.routes import RouteTable
from local.host.timers import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.host.messages import Function
    from local.host.settings_files import HostConfig

DRAIN_SECONDS = 2.0
START_SECONDS = 120.0
"""How long a request waits for a worker that starts; indexing may take two minutes in Azure as well."""
RESTART_SECONDS = 0.5
MAX_RESTART_SECONDS = 8.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An app that answers; a restart lets its `requests` end for a moment."""

    worker: WorkerProcess
    routes: RouteTable
    timers: dict[str, Timer]
    queues: list[Listener]
    requests: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


class AppState:
    """The one app of this host, on `port`. `configure` reads host.json and the settings again for each start.

    An app that cannot be indexed ends `run` with AppBrokenError, unless it is `watched`: then its next change is
    waited for.
    """

    def __init__(
        self, *, app: Path, port: int, configure: Callable[[], tuple[HostConfig, Mapping[str, str]]], watched: bool
    ) -> None:
        self.log = AppLog()
        self.current: Running | AppBrokenError | None = None
        """None while the worker starts."""
        self.watched = watched
        self._app = app
        self._port = port
        self._configure = configure
        self._is_first = True
        self._said = ""
        self._settled = asyncio.Event()
        self._restart = asyncio.Event()

    async def settled(self) -> Running | AppBrokenError | None:
        """Wait for the end of a start; None when it takes longer than START_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while self.current is None:
                    await self._settled.wait()
        return self.current

    def restart(self) -> None:
        self._said = ""  # the same fault is news after a change
        self._restart.set()

    async def run(self) -> None:
        """Keep a worker running until cancelled; raises AppBrokenError."""
        pause = RESTART_SECONDS
        while True:
            self._restart.clear()
            try:
                answered = await self._run_worker()
            except HostError as error:
                await self._wait_for_change(error)
                answered = None
            if answered is None or answered > pause:  # not one of those that are killed at every start
                pause = RESTART_SECONDS
            if answered is not None:
                logger.error("The worker process ended; starting it again in %.1f s.", pause)
                with suppress(TimeoutError):  # a change is taken up at once
                    await asyncio.wait_for(self._restart.wait(), pause)
                pause = min(pause * 2, MAX_RESTART_SECONDS)

    async def _run_worker(self) -> float | None:
        """One worker from start to end. Raises HostError for an app that cannot run.

        For how many seconds a worker that ended by itself had answered; None for one that has to be replaced.
        """
        config, environment = self._configure()
        telemetry = ApplicationInsights(environment, log_levels=config.log_levels)
        process = await start_process(self._app, environment)
        limit, log = config.function_timeout, self.log
        worker = WorkerProcess(process, limit=limit, telemetry=telemetry, on_timeout=self.restart, log=log)
        outdated = asyncio.create_task(self._end_if_outdated(process))
        try:
            functions = await worker.load()
            outdated.cancel()
            if functions is None:
                return None if self._restart.is_set() else 0
            return await self._serve(_running(worker, functions, config, environment))
        finally:
            outdated.cancel()
            await worker.stop()

    async def _end_if_outdated(self, process: asyncio.subprocess.Process) -> None:
        """A worker that is still importing files which have changed meanwhile has nothing to lose."""
        await self._restart.wait()
        with suppress(ProcessLookupError):
            process.kill()

    async def _serve(self, running: Running) -> float | None:
        """Until the worker ends by itself, or has to be replaced; the result is that of `_run_worker`."""
        began = time.monotonic()
        answers = asyncio.create_task(running.worker.run())
        restart = asyncio.create_task(self._restart.wait())
        sources = [asyncio.create_task(each.run()) for each in (*running.timers.values(), *running.queues)]
        sources.append(asyncio.create_task(self._report_start(running.worker, again=not self._is_first)))
        self._settle(running)
        self._is_first = False
        try:
            await asyncio.wait((answers, restart), return_when=asyncio.FIRST_COMPLETED)
            self._settle(None)  # new requests wait for the next worker
            if answers.done() and not self._restart.is_set():
                if self.watched:
                    self._say(f"{NOT_READY}its process ended, and is started again")
                return time.monotonic() - began
            for task in sources:
                task.cancel()
            if running.requests:  # their answers are still taken
                await asyncio.wait(running.requests, timeout=DRAIN_SECONDS)
            return None
        finally:
            tasks = (answers, restart, *sources)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _report_start(self, worker: WorkerProcess, *, again: bool) -> None:
        """Say whether the app has started, once its functions are there; unwatched, only that they are there again."""
        if self.watched and (problem := await self._why_not_ready(worker)):
            first, *stack = problem.splitlines()
            broken = AppBrokenError(first, stack="\n".join(stack))
            self._say(f"{broken}\n{NOT_READY}{broken.reason}" if stack else f"{NOT_READY}{first}")
        elif again:
            self._say(RESTARTED)

    async def _why_not_ready(self, worker: WorkerProcess) -> str:
        """Empty for an app that answers, if only that it has no readiness to ask for."""
        url = f"http://localhost:{self._port}/readyz"
        try:
            async with asyncio.timeout(START_SECONDS), httpx2.AsyncClient(trust_env=False, timeout=None) as http:
                answer = await http.get(url)
        except TimeoutError:
            return f"{url} has not answered for {START_SECONDS:.0f} s"
        except httpx2.HTTPError as error:
            return f"{url} does not answer: {error!r}"
        if not answer.is_server_error:
            return ""
        return await worker.fault() or f"{url} answers {answer.status_code}: {answer.text[:1000]}"

    async def _wait_for_change(self, error: HostError) -> None:
        broken = error if isinstance(error, AppBrokenError) else AppBrokenError(str(error))
        if not (self.watched and self._restart.is_set()):  # the fault of files that have changed meanwhile is none
            self._settle(broken)  # requests that wait are answered
            if not self.watched:
                raise broken
            self._is_first = False
            self._say(f"{broken}\n{NOT_STARTED}{broken.reason}")
        await self._restart.wait()
        self._settle(None)

    def _say(self, text: str) -> None:
        """To the person at the terminal: a fault once for each change, however often the worker ends at its start."""
        if text != self._said or text == RESTARTED:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - it is at the terminal
        self._said = text

    def _settle(self, state: Running | AppBrokenError | None) -> None:
        self.current = state
        self._settled.set() if state else self._settled.clear()


def _running(
    worker: WorkerProcess, functions: list[Function], config: HostConfig, environment: Mapping[str, str]
) -> Running:
    """Raises UnsupportedError for a function that this host cannot run."""
    timers = {each.name: Timer(each, worker) for each in functions if each.trigger["type"] == "timerTrigger"}
    queues = [
        Listener(each, worker, environment=environment, options=config.queues)
        for each in functions
        if each.trigger["type"] == "queueTrigger"
    ]
    routes = RouteTable(functions, prefix=config.route_prefix)
    return Running(worker=worker, routes=routes, timers=timers, queues=queues)
