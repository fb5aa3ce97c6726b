"""Starts the local services, waits until each is ready, notices one that dies, and ends them all in reverse order.

Each child runs under `guard.py` in a session (on Windows: a console) of its own: a terminal's Ctrl-C reaches the
supervisor alone, which then ends the children in order, and no child outlives a supervisor that is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from local.processes.guarded import MARGIN, NO_WINDOW, guarded, kill_group
from local.progress import tail_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

PROBE_PAUSE = 0.05
PROBE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One child process: how it starts, how one sees that it is ready, how it is stopped."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    cwd: Path
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    start_timeout: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 5.0


class ServiceError(Exception):
    """A service failed; carries its name, and in its message the end of its log."""

    def __init__(self, message: str, *, name: str, log: Path) -> None:
        self.name = name
        tail = tail_of(log) or "    (its log is empty)"
        super().__init__(f"{name} {message}. The end of its log:\n{tail}\nThe whole log: {log}")


class ServiceEndedError(ServiceError):
    """A service ended by itself, before or after it was ready."""

    def __init__(self, *, name: str, log: Path, exit_code: int) -> None:
        super().__init__(f"ended by itself with exit code {exit_code}", name=name, log=log)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    service: Service
    process: asyncio.subprocess.Process
    log: Path
    end: asyncio.Task[int]


class Supervisor:
    """An async context manager: whatever was started in it has ended when it is left."""

    def __init__(self, *, logs: Path) -> None:
        self._logs = logs
        self._children: list[_Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(
        self, *services: Service, on_ready: Callable[[str, float], None] = lambda _name, _took: None
    ) -> None:
        """Start these together and wait until all are ready, or ServiceError.

        `on_ready` gets the name of each as soon as it is ready, and the seconds that took.
        """
        began = time.monotonic()

        async def until_ready(child: _Child) -> None:
            await self._until_ready(child)
            on_ready(child.service.name, time.monotonic() - began)

        children = [await self._spawn(service) for service in services]
        await self.watch(_all_of(until_ready(child) for child in children))

    async def watch[Result](self, work: Coroutine[object, object, Result]) -> Result:
        """Do `work` while every service lives; ServiceEndedError, and the work cancelled, as soon as one ends."""
        task = asyncio.ensure_future(work)
        ends = {child.end: child for child in self._children}
        try:
            await asyncio.wait({task, *ends}, return_when=asyncio.FIRST_COMPLETED)
            for end, child in ends.items():
                if end.done():
                    raise ServiceEndedError(name=child.service.name, log=child.log, exit_code=end.result())
            return await task
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not report a fault that gave way to the service's

    async def stop(self) -> None:
        """End every child, the last started first; each gets its grace to end cleanly."""
        while self._children:
            child = self._children.pop()
            ending = asyncio.ensure_future(self._end(child))
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                await ending
                raise

    async def _spawn(self, service: Service) -> _Child:
        log = self._fresh_log(service.name)
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                *guarded(service.command, stop_signal=service.stop_signal, grace=service.grace),
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=service.cwd,
                env=dict(service.environment),
                start_new_session=True,
                creationflags=NO_WINDOW,
            )
        child = _Child(service=service, process=process, log=log, end=asyncio.ensure_future(process.wait()))
        self._children.append(child)
        return child

    def _fresh_log(self, name: str) -> Path:
        """The log of this run; the log of the run before is kept beside it."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with suppress(FileNotFoundError):
            log.replace(self._logs / f"{name}.previous.log")
        log.touch(mode=0o600)
        return log

    async def _until_ready(self, child: _Child) -> None:
        service = child.service
        try:
            async with asyncio.timeout(service.start_timeout):
                while True:
                    if await _probe(service.ready):
                        return
                    await asyncio.sleep(PROBE_PAUSE)
        except TimeoutError:
            message = f"was not ready after {service.start_timeout:g} s"
            raise ServiceError(message, name=service.name, log=child.log) from None

    async def _end(self, child: _Child) -> None:
        if child.process.stdin is not None:
            child.process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(child.end), child.service.grace + MARGIN)
        kill_group(child.process.pid)
        await child.end


async def _all_of(works: Iterable[Coroutine[object, object, None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None


async def _probe(ready: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await asyncio.wait_for(ready(), PROBE_TIMEOUT)
    except (OSError, TimeoutError):
        return False
