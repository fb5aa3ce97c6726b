"""One run of a task, which calls the tool as the caller and writes down what came of it.

The tool is called through an MCP client in memory. So it finds what it has in a call: middleware, roles, progress,
dependencies, questions in rounds. There is no HTTP request.
"""

from __future__ import annotations

import asyncio
import json
import logging
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, override

from fastmcp.exceptions import ToolError
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    SERVER_INFO_META_KEY,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ElicitResult,
    InputRequiredResult,
)
from pydantic import TypeAdapter

from entra_mcp.cancellation import ended
from entra_mcp.errors import DependencyError, StorageError
from entra_mcp.tasks.rows import TOO_MUCH, Stored, Task, TaskChangedError
from entra_mcp.tasks.wire import answers_of, error_of
from entra_mcp.toolkit.background import RUNNING, BackgroundTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from fastmcp import FastMCP

    from entra_mcp.tasks.parts import TaskParts

END_PAUSES = (0.2, 1.0, 3.0, 5.0)
"""Seconds before each new try to write what came of a run; its lease is longer than all of them."""

SIGNED_OUT = "The sign-in of the task's caller has ended. Sign in again, and call the tool again."
UNREACHABLE = "What the task depends on was out of reach too often."
TOO_LONG = "The task took longer than {:g} s without saving a checkpoint."
BROKEN = "The server could not bring the task to its end. Its log has the reason."
TOO_LATE = "The task would be gone before the moment that it waits for."
TOO_LARGE = "The result is larger than {} bytes."

MAX_MESSAGE = 1000
"""Characters of a progress message that are kept."""

CALLED: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)

logger = logging.getLogger(__name__)


def failed(task: Task, why: str, *, error: dict[str, Any] | None = None) -> Task:
    """The task as it ends when the server could not bring it to its end; an alert looks for the warning."""
    logger.warning("A background task of %s failed after %d runs: %s", task.tool, task.runs, why)
    return task.ended("failed", error=error or error_of(why))


def refused(task: Task, error: dict[str, Any]) -> Task:
    """The task as it ends when its caller may not run it any more."""
    logger.info("A background task of %s was refused after %d runs: %s", task.tool, task.runs, error["message"])
    return task.ended("failed", error=error)


class Run(BackgroundTask):
    """One run of one task, which holds its lease; the tool that it calls sees it as its task."""

    def __init__(self, server: FastMCP, parts: TaskParts, stored: Stored) -> None:
        self.id = stored.task.id
        self.checkpoint = deepcopy(stored.task.checkpoint)
        self._server = server
        self._stored = stored
        self._parts = parts
        self._limits = parts.limits
        self._progress: str | None = None
        self._saved = False
        self._lost = False
        self._waits = asyncio.Event()
        self._pause = 0.0
        self._retries = 0
        self._writing = asyncio.Lock()

    async def execute(self) -> None:
        """Runs the tool and writes down what came of it.

        Raises:
            DependencyError: it could not be written. The task runs again when its lease is over.
        """
        try:
            left = await self._attempt(self._stored.task)
            if left is not None:
                await self._leave(left)
        except DependencyError:
            raise
        except Exception:
            logger.exception("A background task of %s could not end.", self._stored.task.tool)
            await self._leave(failed(self._stored.task, BROKEN))
        finally:
            # A tool that ignores its cancellation saves nothing any more.
            self._lost = True

    @override
    async def save(self, checkpoint: object) -> None:
        """Writes a checkpoint into the row; a new one is progress: only errors of the tool count on from before it.

        Raises:
            ToolError: the row cannot hold it.
            StorageError: it could not be written, or the task is not this run's any more.
        """
        # A copy: the tool goes on with what it has saved, and each sign of life writes the checkpoint again.
        copy = json.loads(json.dumps(checkpoint))
        task = self._stored.task
        if not self._parts.rows.has_room(replace(task, checkpoint=copy)):
            raise ToolError(TOO_MUCH)
        is_new = copy != task.checkpoint
        if not await self._keep(checkpoint=copy, attempts=task.own_attempts if is_new else task.attempts):
            raise StorageError("the task is not this run's any more")
        self._saved |= is_new
        self.checkpoint = deepcopy(checkpoint)

    @override
    async def wait_until(self, moment: datetime) -> None:
        """Ends this run, unless the moment has passed; the next one begins then."""
        if moment.timestamp() >= self._stored.task.expires:
            raise ToolError(TOO_LATE)
        seconds = moment.timestamp() - self._parts.rows.clock()
        if seconds > 0:
            self._pause = seconds
            self._waits.set()
            await asyncio.Event().wait()

    @override
    def retry(self, times: int) -> None:
        """Notes that the tool has failed in a way that so many further runs may cure."""
        self._retries = times

    async def _attempt(self, task: Task) -> Task | None:
        """Finds the caller and calls the tool; returns the task as that leaves it, or None as `_call` does."""
        try:
            token = await self._parts.callers.find(task.caller, seconds=self._limits.run)
        except DependencyError as error:
            logger.warning("A task of tool %s cannot run now: %s", task.tool, error)
            return self._again(task, "outage", times=self._limits.outages, why=UNREACHABLE)
        if task.caller and token is None:
            return refused(task, error_of(SIGNED_OUT))
        return await self._call(None if token is None else AuthenticatedUser(token))

    async def _call(self, caller: AuthenticatedUser | None) -> Task | None:
        """Calls the tool, with a sign of life every few seconds; returns the task as the call leaves it.

        It is None when the task is not this run's any more, or its lease can be renewed no longer.
        """
        call = asyncio.create_task(self._outcome(caller))
        beat, waits = asyncio.create_task(self._beat()), asyncio.create_task(self._waits.wait())
        each = (call, beat, waits)
        try:
            await asyncio.wait(each, timeout=self._limits.run, return_when=asyncio.FIRST_COMPLETED)
            has_ended, is_lost, is_waiting = call.done(), beat.done(), waits.done()
        finally:
            for other in each:
                other.cancel()
            if not await ended(*each):
                logger.error("A background task of %s ignores its cancellation, and goes on.", self._stored.task.tool)
        # Only now: a tool that is broken off may save a checkpoint before it ends.
        if has_ended:
            return call.result()
        if is_lost:
            if error := beat.exception():
                logger.error("A background task of %s lost its lease.", self._stored.task.tool, exc_info=error)
            return None
        if is_waiting or self._saved:
            return self._stored.task
        return failed(self._stored.task, TOO_LONG.format(self._limits.run))

    async def _outcome(self, caller: AuthenticatedUser | None) -> Task:
        """Calls the tool in a context of its own, as the caller."""
        from fastmcp import Client  # a tenth of a second, which no start has to wait for

        task = self._stored.task
        auth_context_var.set(caller)
        RUNNING.set(self)
        params = CallToolRequestParams(
            name=task.tool,
            arguments=dict(task.arguments),
            input_responses=answers_of(task.answers),
            request_state=task.state,
            _meta=cast("Any", {"fastmcp": {"version": task.version}} if task.version else None),
        )
        try:
            # A client that has such a handler says that it can ask the person; it is never called.
            async with Client(self._server, elicitation_handler=_decline if task.asks else None) as client:
                # Not `call_tool`: it lists the tools first, and holds the result to the schema, as a client should.
                called = await client.session.send_request(
                    CallToolRequest(params=params), CALLED, progress_callback=self._report
                )
        except MCPError as error:
            described = error.error.model_dump(mode="json", exclude_none=True)
            if error.error.code == INVALID_PARAMS:  # no such tool, for this caller
                return refused(self._stored.task, described)
            return failed(self._stored.task, error.error.message, error=described)
        if isinstance(called, InputRequiredResult):
            return self._asking(called)
        if called.is_error and self._stored.task.attempts.get("error", 0) < self._retries:
            return self._again(self._stored.task, "error", times=self._retries + 1, why="")
        answer = called.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude={"meta": {SERVER_INFO_META_KEY}}
        )
        result = json.dumps(answer).encode()
        if len(result) > self._limits.result:
            return failed(self._stored.task, TOO_LARGE.format(self._limits.result))
        parts = await self._persist(lambda: self._parts.rows.write_result(task, result))
        details: dict[str, Any] = {"parts": parts} if parts else {"result": answer}
        return self._stored.task.ended("completed", **details)

    def _asking(self, asked: InputRequiredResult) -> Task:
        """The task as it waits for the person's answers, with no instance that waits too."""
        task = self._stored.task
        questions = {
            # The name of a question must be a new one each time (SEP-2663).
            f"{name}-{task.runs}": question.model_dump(by_alias=True, mode="json", exclude_none=True)
            for name, question in (asked.input_requests or {}).items()
        }
        waiting = replace(
            task,
            status="input_required",
            questions=questions,
            state=asked.request_state,
            answers=None,
            running=False,
            lease=0.0,
        )
        return waiting if self._parts.rows.has_room(waiting) else failed(task, TOO_MUCH)

    async def _report(self, progress: float, total: float | None, message: str | None) -> None:
        text = message or (f"{progress:g}" if total is None else f"{progress:g} of {total:g}")
        self._progress = text[:MAX_MESSAGE]

    async def _beat(self) -> None:
        """Renews the lease until the task is somebody else's, ended, or nothing can be known of it any more."""
        while not self._lost:
            await asyncio.sleep(self._limits.heartbeat)
            try:
                await self._keep()
            except StorageError as error:
                self._lost = self._parts.rows.clock() >= self._stored.task.lease
                logger.warning("A task's lease is not renewed: %s", error)

    async def _keep(self, **changes: Any) -> bool:  # noqa: ANN401 - fields of a task
        """Writes the row with a renewed lease; returns False when the task is not this run's any more."""

        def kept(task: Task) -> Task:
            lease = self._parts.rows.clock() + self._limits.lease
            return replace(task, lease=lease, message=self._progress or task.message, **changes)

        return await self._write(kept)

    async def _write(self, change: Callable[[Task], Task]) -> bool:
        """Writes the task as `change` returns it; returns False when it is not this run's any more."""
        async with self._writing:
            while not self._lost:
                try:
                    self._stored = await self._parts.rows.write(self._stored, change(self._stored.task))
                except TaskChangedError:
                    await self._look()
                else:
                    return True
        return False

    async def _look(self) -> None:
        """Reads the row again: after a lost answer it has changed, and is this run's all the same until it ends."""
        found = await self._parts.rows.read(self._stored.task.id)
        if found is None or not found.task.running or found.task.turn != self._stored.task.turn:
            self._lost = True
        else:
            self._stored = found

    def _again(self, task: Task, cause: str, *, times: int, why: str) -> Task:
        """The task as it waits for its next run, longer each time; it fails instead when there were `times` of them."""
        task = task.counted(cause)
        count = task.attempts[cause]
        if count >= times:
            return failed(task, why)
        self._pause = min(self._limits.backoff * 2 ** (count - 1), self._limits.longest_backoff)
        return task

    async def _leave(self, task: Task) -> None:
        """Writes what the run leaves, and where the task goes on, sends the message for the next run.

        Raises:
            StorageError: it could not be written. The task runs again when its lease is over.
        """
        goes_on = task.status == "working"
        left = replace(task, running=False, lease=self._parts.rows.clock() + self._pause) if goes_on else task
        if await self._persist(lambda: self._write(lambda _: left)) and goes_on:
            await self._parts.send(left, delay=self._pause)

    async def _persist[Found](self, work: Callable[[], Awaitable[Found]]) -> Found:
        """Does the work with the table, again after pauses while that is out of reach."""
        for pause in END_PAUSES:
            try:
                return await work()
            except StorageError:
                await asyncio.sleep(pause)
        return await work()


async def _decline(*_: object) -> ElicitResult:
    return ElicitResult(action="decline")
