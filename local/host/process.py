"""The host's side of one worker process: start it, run functions in it, end it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from local.config import REPOSITORY
from local.host import messages
from local.host.errors import AppBrokenError
from local.host.messages import Ended, Failed, Function, Invoke, Loaded, Logged
from local.host.report import APP_SAYS
from local.host.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

    from local.host.application_insights import ApplicationInsights
    from local.host.log import AppLog

INDEXING_SECONDS = 120
"""The limit that Azure has, too."""
STOP_SECONDS = 5
FAULT_SECONDS = 2.0
"""How much later than an answer the line of the log may come that explains it."""
LINE_LIMIT = 2**22
KILLED = -9
"""The exit code after SIGKILL, as from a machine without memory."""

ENDED = "The worker process has ended."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A function on its way; `operation`, `span` and `flags` are those of its trace.

    `method` and `path` are those of a request, if one began it.
    """

    function: str
    method: str = ""
    path: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    operation: str = field(default_factory=lambda: secrets.token_hex(16))
    span: str = field(default_factory=lambda: secrets.token_hex(8))
    flags: str = "01"
    began: float = field(default_factory=time.time)
    ended: asyncio.Future[str | None] = field(default_factory=asyncio.Future[str | None])
    """What went wrong in the end, or None."""

    def end(self, error: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


async def start_process(app: Path, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """The child process of a `WorkerProcess`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.host.worker", str(app)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        cwd=REPOSITORY,
        env=environment,
    )


class WorkerProcess:
    """One child process running one state of the app.

    An invocation that takes longer than `limit` fails, and `on_timeout` is called: as nothing ends a function
    but the end of its process, this worker should then be replaced, which is what the real host does.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        *,
        limit: timedelta,
        telemetry: ApplicationInsights,
        on_timeout: Callable[[], None],
        log: AppLog,
    ) -> None:
        self._process = process
        self._orders = cast("asyncio.StreamWriter", process.stdin)
        self._answers = cast("asyncio.StreamReader", process.stdout)
        self._limit = limit
        self._on_timeout = on_timeout
        self._log = log
        self._telemetry = telemetry
        self._sending = asyncio.create_task(self._telemetry.run())
        self._gone = False
        self._fault = ""
        self._faulted = asyncio.Event()
        self._running: dict[str, Invocation] = {}
        self.upstream: Upstream | None = None

    async def load(self) -> list[Function] | None:
        """The functions of the app; None when the process was killed before it had them. Raises AppBrokenError."""
        try:
            message = await asyncio.wait_for(self._next_message(), INDEXING_SECONDS)
        except TimeoutError:
            raise AppBrokenError(f"Importing function_app.py took longer than {INDEXING_SECONDS} s.") from None
        match message:
            case Loaded(functions=[]):
                raise AppBrokenError("function_app.py is missing, or defines no functions.")
            case Loaded() as loaded:
                if loaded.port:
                    self.upstream = Upstream(loaded.port)
                return loaded.functions
            case Failed() as failed:
                raise AppBrokenError(failed.message, stack=failed.stack)
            case _:
                code = await self._process.wait()
                if code == KILLED:  # whoever killed it said nothing of the app: another worker may index that
                    return None
                raise AppBrokenError(f"The worker process ended with code {code}.")

    async def run(self) -> None:
        """Take the worker's answers until it ends."""
        while isinstance(message := await self._next_message(), Ended):
            if invocation := self._running.pop(message.id, None):
                invocation.end(message.error)
        self._abandon()

    async def fault(self) -> str:
        """Why the app is not ready, in the words of its log; empty if that does not say it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._faulted.wait(), FAULT_SECONDS)
        return self._fault

    async def call(self, function: Function, *, kind: str, data: object) -> str | None:
        """Run a function to its end, and report it; returns what went wrong, if anything did."""
        invocation = Invocation(function=function.name)
        self.begin(invocation, function, kind=kind, data=data)
        self.report(invocation)
        return await invocation.ended

    def begin(self, invocation: Invocation, function: Function, *, kind: str, data: object) -> None:
        if self._gone:
            invocation.end(ENDED)
            return
        self._running[invocation.id] = invocation
        timer = asyncio.get_running_loop().call_later(self._limit.total_seconds(), self._expire, invocation)
        invocation.ended.add_done_callback(lambda _: timer.cancel())
        self._telemetry.began(invocation)
        binding = str(function.trigger["name"])
        invoke = Invoke(id=invocation.id, function_id=function.id, binding=binding, kind=kind, data=data)
        if not self._orders.is_closing():
            self._orders.write(messages.encode(invoke))

    def report(self, invocation: Invocation, *, status: int | None = None) -> None:
        """Report the invocation to Application Insights when it ends; `status` is that of the answer to a request."""

        def ended(outcome: asyncio.Future[str | None]) -> None:
            if not outcome.cancelled():
                self._telemetry.ended(invocation, error=outcome.result(), status=status)

        invocation.ended.add_done_callback(ended)

    async def stop(self) -> None:
        """End the process, in good order if it lets itself be ended that way."""
        if self.upstream:
            self.upstream.close()
        self._orders.close()
        try:
            await asyncio.wait_for(self.run(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
        await self._process.wait()
        self._abandon()
        self._sending.cancel()
        await asyncio.wait((self._sending,))

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
        while line := await self._answers.readline():
            message = messages.decode(line)
            if not isinstance(message, Logged):
                return message
            if message.text.startswith(APP_SAYS):
                self._fault = message.text
                self._faulted.set()
            invocation = self._running.get(message.invocation or "")
            if invocation is not None:
                self._telemetry.user_line(message, invocation)
            self._log.add(message, running=invocation is not None)
        return None
