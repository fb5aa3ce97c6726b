"""An ASGI application that starts once per process, before the first request if it can, and again after a failure.

The Functions worker runs no ASGI lifespan. Starting on the first request without a guard enters the lifespan once per
concurrent request; starting without a retry leaves the process dead after one slow answer of a dependency.
"""

from __future__ import annotations

import asyncio
import logging
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
        self._attempt: _Attempt | None = None
        self._failures = 0
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._probes.get(scope["path"])
        if app is None:
            attempt = self._attempt
            # An application that runs is asked nothing else: this is the path of every request.
            running = attempt is not None and attempt.error is None and attempt.app
            app = running or await self._started_app()
        await app(scope, receive, send)

    def start(self) -> None:
        """Begin an attempt unless one is under way or succeeded; returns at once and never raises."""
        # No await between the check and the assignment: on one loop, that is the lock.
        if not self._closed and self._may_try():
            self._attempt = _Attempt(self._running_app, clock=self._clock, on_end=self._ended)

    async def started(self) -> None:
        """Waits until the application runs; raises what stopped it otherwise."""
        self.start()
        outcome = LifespanClosed() if self._attempt is None else await self._attempt.outcome()
        if isinstance(outcome, Exception):
            raise outcome

    async def aclose(self) -> None:
        """Leave the context manager and refuse what comes later."""
        self._closed = True
        if self._attempt is not None:
            await self._attempt.aclose()

    async def _started_app(self) -> ASGIApp:
        self.start()
        if self._attempt is None:
            return self._on_failure(LifespanClosed())
        outcome = await self._attempt.outcome()
        return self._on_failure(outcome) if isinstance(outcome, Exception) else outcome

    def _may_try(self) -> bool:
        if self._attempt is None:
            return True
        if self._attempt.ended_at is None:
            return False
        pause = min(PAUSE_SECONDS * 2 ** (self._failures - 1), MAX_PAUSE_SECONDS)
        return self._clock() - self._attempt.ended_at >= pause

    def _ended(self, *, had_started: bool) -> None:
        self._failures = 1 if had_started else self._failures + 1


class _Attempt:
    """One run of the context manager, in one task."""

    def __init__(
        self,
        running_app: Callable[[], AbstractAsyncContextManager[ASGIApp]],
        *,
        clock: Callable[[], float],
        on_end: Callable[..., None],
    ) -> None:
        self.ended_at: float | None = None
        self._running_app = running_app
        self._clock = clock
        self._on_end = on_end
        self.app: ASGIApp | None = None
        self.error: Exception | None = None
        self._decided = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()
        # Not from here: what runs for the whole life of the process would belong to the request that began it.
        asyncio.get_running_loop().call_soon(self._begin, context=Context())

    def _begin(self) -> None:
        belong_to_no_invocation()
        self._task.set_result(asyncio.create_task(self._run(), name="application lifespan"))

    async def outcome(self) -> ASGIApp | Exception:
        await self._decided.wait()
        return self.error or self.app or LifespanClosed()

    async def aclose(self) -> None:
        self._stop.set()
        task = await self._task
        if self.app is None:
            task.cancel()
        await asyncio.wait((task,))

    async def _run(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(START_SECONDS):
                    self.app = await stack.enter_async_context(self._running_app())
                self._decided.set()
                await self._stop.wait()
            self.error = LifespanClosed()
        except Exception as error:  # noqa: BLE001 - the edge of the application
            what = "stopped" if self._decided.is_set() else "did not start"
            _log_failure(f"The application {what}; the next request tries again", error)
            self.error = LifespanEnded() if self._decided.is_set() else error
        finally:
            self.ended_at = self._clock()
            self.error = self.error or LifespanClosed()
            self._on_end(had_started=self.app is not None)
            self._decided.set()


def _log_failure(what: str, error: Exception) -> None:
    """What this server names itself is one line; only what nobody foresaw needs a traceback."""
    if isinstance(error, EntraMcpError):
        first, *more = str(error).splitlines()
        logger.error("%s: %s", what, " ".join([first, "; ".join(line.strip() for line in more)]).strip())
    else:
        logger.error("%s.", what, exc_info=error)
