"""An ASGI application that starts once per process, before the first request if it can, and again after a failure.

The Functions worker runs no ASGI lifespan. Starting on the first request without a guard enters the lifespan once per
concurrent request; starting without a retry leaves the process dead after one slow answer of a dependency.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import AsyncExitStack
from contextvars import Context
from typing import TYPE_CHECKING

from entra_mcp.errors import EntraMcpError
from entra_mcp.functions.log_lines import belong_to_no_invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

START_SECONDS = 60.0
"""How long a start may take."""

PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 8.0
"""Between a failed start and the next one; the pause doubles each time, up to the longest."""

logger = logging.getLogger(__name__)


class LifespanEnded(EntraMcpError):  # noqa: N818 - it names a state of the application
    """The application stopped by itself after it had started."""


class LifespanClosed(EntraMcpError):  # noqa: N818 - it names a state of the application
    """The application was stopped with `aclose()`."""


class Lifespan:
    """Owns one run of `running_app` at a time, and answers requests with the application it yields.

    - `running_app` does all of the start-up, yields the application, and cleans up when it is left. It is entered and
      left in one task of its own, because cancel scopes must be left in the task that entered them.
    - `on_failure` creates the answer to requests that meet a failed start-up.
    - `probes` maps exact paths to applications that answer whether or not the start-up has ended.
    - After a failure the next request starts a new attempt, but not before a pause. Requests in between share the error
      of the last attempt, and all requests during an attempt share that attempt: what is down is asked once, however
      many clients wait.
    - `clock` measures that pause, in seconds.
    """

    def __init__(
        self,
        running_app: Callable[[], AbstractAsyncContextManager[ASGIApp]],
        *,
        on_failure: Callable[[Exception], ASGIApp],
        probes: Mapping[str, ASGIApp] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._running_app = running_app
        self._on_failure = on_failure
        self._probes = probes or {}
        self._clock = clock
        self._run: asyncio.Task[None] | None = None
        self._app: ASGIApp | None = None
        self._error: Exception = LifespanClosed()
        self._failures = 0
        self._ended_at = -math.inf
        self._stop = asyncio.Event()
        self._decided = asyncio.Event()
        self._decided.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # An application that runs is asked nothing else: this is the path of every request.
        app = self._probes.get(scope["path"]) or self._app
        if app is None:
            outcome = await self._outcome()
            app = self._on_failure(outcome) if isinstance(outcome, Exception) else outcome
        await app(scope, receive, send)

    def start(self) -> None:
        """Begin an attempt unless one is under way or succeeded; returns at once and never raises."""
        # No await between the check and the assignment: on one loop, that is the lock.
        if not self._may_try():
            return
        self._decided.clear()
        # Not in the context of the request that begins it, to which it would belong for the life of the process.
        context = Context()
        context.run(belong_to_no_invocation)
        self._run = asyncio.create_task(self._run_app(), name="application lifespan", context=context)
        self._run.add_done_callback(self._ended, context=context)

    async def started(self) -> None:
        """Waits until the application runs; raises what stopped it otherwise."""
        outcome = await self._outcome()
        if isinstance(outcome, Exception):
            raise outcome

    async def aclose(self) -> None:
        """Leave the context manager and refuse what comes later."""
        self._stop.set()
        if self._run is not None:
            if self._app is None:
                self._run.cancel()
            await asyncio.wait((self._run,))

    async def _outcome(self) -> ASGIApp | Exception:
        """Waits for the end of the attempt that is under way, or that begins now."""
        self.start()
        await self._decided.wait()
        return self._app or self._error

    def _may_try(self) -> bool:
        if self._stop.is_set() or self._app is not None or not self._decided.is_set():
            return False
        pause = min(PAUSE_SECONDS * 2 ** (self._failures - 1), MAX_PAUSE_SECONDS)
        return self._clock() - self._ended_at >= pause

    async def _run_app(self) -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(START_SECONDS):
                self._app = await stack.enter_async_context(self._running_app())
            self._decided.set()
            await self._stop.wait()

    def _ended(self, run: asyncio.Task[None]) -> None:
        had_started, self._app = self._app is not None, None
        error = None if run.cancelled() else run.exception()
        if had_started and error is not None:
            self._error = LifespanEnded()
        else:
            self._error = error if isinstance(error, Exception) else LifespanClosed()
        self._failures = 1 if had_started else self._failures + 1
        self._ended_at = self._clock()
        self._decided.set()
        if error is not None:
            what = "stopped" if had_started else "did not start"
            _log_failure(f"The application {what}; the next request tries again", error)


def _log_failure(what: str, error: BaseException) -> None:
    """What this server names itself is one line; only what nobody foresaw needs a traceback."""
    if isinstance(error, EntraMcpError):
        first, *more = str(error).splitlines() or [type(error).__name__]
        logger.error("%s: %s", what, " ".join([first, "; ".join(line.strip() for line in more)]).strip())
    else:
        logger.error("%s.", what, exc_info=error)
