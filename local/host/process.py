"""The host's side of one worker process: start it, run functions in it, end it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.config import REPOSITORY
from local.host import messages
from local.host.messages import Ended, Failed, Function, Invoke, Loaded, Logged
from local.host.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

    from local.host.log import AppLog

STOP_SECONDS = 5
LINE_LIMIT = 2**22
KILLED = -9
"""The exit code after SIGKILL, as from a machine without memory."""

ENDED = "The worker process has ended."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A function on its way; `ended` resolves to its error, or to None. `operation` and `span` name its trace."""

    function: str
    ended: asyncio.Future[str | None]
    operation: str
    method: str = ""
    path: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    span: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = field(default_factory=time.time)

    def end(self, error: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


class WorkerProcess:
    """One child process running one state of the app.

    An invocation that takes longer than `limit` fails, and `on_timeout` is called: as nothing ends a function but the
    end of its process, this worker should then be replaced, which is what the real host does.
    """

    def __init__(
        self,
        *,
        app: Path,
        environment: Mapping[str, str],
        limit: timedelta,
        on_timeout: Callable[[], None],
        log: AppLog,
    ) -> None:
        self._app = app
        self._environment = environment
        self._limit = limit
        self._on_timeout = on_timeout
        self._log = log
        self._gone = False
        self._running: dict[str, Invocation] = {}
        self._process: asyncio.subprocess.Process | None = None
        self.upstream: Upstream | None = None

    async def start(self) -> Loaded | Failed | None:
        """Start the process and wait until the app is indexed; None when the process was killed before."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "local.host.worker", str(self._app)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            cwd=REPOSITORY,
            env=self._environment,
        )
        match await self._next_message():
            case Loaded() as loaded:
                if loaded.port:
                    self.upstream = Upstream(loaded.port)
                return loaded
            case Failed() as failed:
                return failed
            case _:
                code = await self._process.wait()
                # Whoever killed it said nothing of the app: another worker may index that.
                return None if code == KILLED else Failed(message=f"The worker process ended with code {code}.")

    async def run(self) -> None:
        """Take the worker's answers until it ends."""
        while isinstance(message := await self._next_message(), Ended):
            if invocation := self._running.pop(message.id, None):
                invocation.end(message.error)
        self._abandon()

    def invoke(
        self,
        function: Function,
        *,
        kind: str,
        data: Any,  # noqa: ANN401 - of the shape that the kind has
        operation: str | None = None,
        method: str = "",
        path: str = "",
    ) -> Invocation:
        """Begin to run a function; what is not a request is reported when it has ended."""
        loop = asyncio.get_running_loop()
        invocation = Invocation(
            function=function.name,
            ended=loop.create_future(),
            operation=operation or secrets.token_hex(16),
            method=method,
            path=path,
        )
        if kind != "http":
            self.report(invocation)
        if self._gone:
            invocation.end(ENDED)
            return invocation
        self._running[invocation.id] = invocation
        timer = loop.call_later(self._limit.total_seconds(), self._expire, invocation)
        invocation.ended.add_done_callback(lambda _: timer.cancel())
        if self._log.telemetry is not None:
            self._log.telemetry.began(invocation)
        binding = str(function.trigger["name"])
        invoke = Invoke(id=invocation.id, function_id=function.id, binding=binding, kind=kind, data=data)
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(messages.encode(invoke))
        return invocation

    def report(self, invocation: Invocation, *, status: int | None = None) -> None:
        """Report the invocation to Application Insights when it ends; `status` is that of the answer to a request."""

        def ended(outcome: asyncio.Future[str | None]) -> None:
            if self._log.telemetry is not None and not outcome.cancelled():
                self._log.telemetry.ended(invocation, error=outcome.result(), status=status)

        invocation.ended.add_done_callback(ended)

    async def stop(self) -> None:
        """End the process, in good order if it lets itself be ended that way."""
        if self.upstream:
            self.upstream.close()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self.run(), STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
            await self._process.wait()
        self._abandon()

    def _expire(self, invocation: Invocation) -> None:
        logger.error(
            "%s takes longer than functionTimeout (%s); restarting the worker.", invocation.function, self._limit
        )
        invocation.end(f"It took longer than functionTimeout ({self._limit}).")
        self._on_timeout()

    def _abandon(self) -> None:
        """Nobody answers any more."""
        self._gone = True
        while self._running:
            self._running.popitem()[1].end(ENDED)

    async def _next_message(self) -> messages.Message | None:
        """The next one that is not a line of the log."""
        while self._process is not None and self._process.stdout is not None:
            line = await self._process.stdout.readline()
            message = messages.decode(line) if line else None
            if not isinstance(message, Logged):
                return message
            self._log.add(message, self._running.get(message.invocation or ""))
        return None
