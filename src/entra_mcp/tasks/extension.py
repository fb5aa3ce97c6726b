"""The server's side of the tasks extension: which calls go on as tasks, and what clients ask about them.

Threat: a task's id is the only thing that a client sends about it. So whoever asks has to be the owner, and for
everybody else the task does not exist.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, override

from anyio import move_on_after
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import extract_version_spec, get_http_request
from fastmcp.server.extensions import MethodBinding, ServerExtension
from fastmcp.tools import ToolResult
from fastmcp.utilities.tasks import TASKS_EXTENSION_ID
from fastmcp.utilities.versions import VersionSpec
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import INVALID_PARAMS
from mcp_types.jsonrpc import HEADER_MISMATCH, MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from entra_mcp.cancellation import CANCEL_SECONDS
from entra_mcp.errors import StorageError
from entra_mcp.request import record_failure, recording_failures
from entra_mcp.tasks.callers import owner_of_request
from entra_mcp.tasks.companion import TASK_RESULT
from entra_mcp.tasks.rows import TOO_MUCH, Stored, Task, TaskChangedError, TooManyTasksError, new_task_id
from entra_mcp.tasks.wire import (
    Acknowledgement,
    CreateTaskResult,
    GetTaskResult,
    TaskParams,
    UpdateTaskParams,
    answers_of,
)
from entra_mcp.toolkit.background import RUNNING, BackgroundTask
from entra_mcp.toolkit.questions import can_ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Mapping, Sequence

    from fastmcp.server.context import Context
    from fastmcp.server.extensions import ToolCallContinuation, ToolCallOutcome
    from fastmcp.tools.base import Tool
    from mcp.server.context import ServerRequestContext
    from mcp.types import CallToolRequestParams

    from entra_mcp.tasks.parts import TaskParts
    from entra_mcp.tasks.rows import TaskRows

    type Request = ServerRequestContext[Any, Any]

MODERN = frozenset(MODERN_PROTOCOL_VERSIONS)
"""Clients of earlier protocols cannot opt in: the extension does not exist there."""

UNAVAILABLE = "The task could not be written down. Try again in a little while."

logger = logging.getLogger(__name__)

GOES_ON = (
    "This takes longer than {seconds:g} s, so it goes on in the background. Call the tool {tool} with the task_id "
    "{task_id} for the result."
)


class TasksExtension(ServerExtension):
    """Writes the tasks of `tools` down and answers what clients ask of them; the runner runs them."""

    identifier = TASKS_EXTENSION_ID

    def __init__(self, parts: TaskParts, *, tools: Container[str]) -> None:
        self._parts = parts
        self._rows = parts.rows
        self._limits = parts.limits
        self._tools = tools

    @override
    def methods(self) -> Sequence[MethodBinding]:
        return [
            MethodBinding("tasks/get", TaskParams, _recorded(self._get), MODERN),
            MethodBinding("tasks/update", UpdateTaskParams, _recorded(self._update), MODERN),
            MethodBinding("tasks/cancel", TaskParams, _recorded(self._cancel), MODERN),
        ]

    @override
    async def intercept_tool_call(
        self, params: CallToolRequestParams, context: Context, call_next: ToolCallContinuation
    ) -> ToolCallOutcome:
        """Lets a call go on as a task where the tool is declared for it: at once if the client has opted in."""
        if params.name not in self._tools or RUNNING.get() is not None:
            return await call_next()
        version = extract_version_spec(params.meta)
        tool = await context.fastmcp.get_tool(params.name, VersionSpec(eq=version) if version else None)
        if tool is None or tool.task_config.mode == "forbidden":
            return await call_next()
        request = context.request_context
        modern = request is not None and request.protocol_version in MODERN
        if modern and context.client_extension_settings(self.identifier) is not None:
            task = self._task(tool, params, asks=can_ask(context))
            if task is None:
                raise ToolError(f"The arguments of a task must be smaller than {self._limits.arguments} bytes.")
            return CreateTaskResult(**_fields(await self._start(task)))
        if tool.task_config.mode == "optional":
            # A round that brings answers ends as it began: a task could not take them over.
            answered = params.input_responses or params.request_state
            task = None if answered else self._task(tool, params)
            return await (call_next() if task is None else self._inline(tool, task, call_next))
        if modern:
            raise _missing_capability(f"Tool {params.name!r} runs as a background task only.")
        raise ToolError(f"Tool {params.name!r} runs as a background task only, which this client does not support.")

    async def _inline(self, tool: Tool, task: Task, call_next: ToolCallContinuation) -> ToolCallOutcome:
        """Runs the tool while the client waits; when that takes too long, it runs again, or on, as the task."""
        running = _Inline(task, self._rows)
        token = RUNNING.set(running)
        limit = asyncio.timeout(self._limits.inline)
        try:
            async with limit:
                return await call_next()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            RUNNING.reset(token)
        await self._start(running.task)
        message = GOES_ON.format(seconds=self._limits.inline, tool=TASK_RESULT, task_id=task.id)
        # A result that does not follow the tool's output schema has to be an error.
        return ToolResult(content=message, is_error=tool.output_schema is not None)

    def _task(self, tool: Tool, params: CallToolRequestParams, *, asks: bool = False) -> Task | None:
        """The task that the call can go on as; None when its arguments are too large for one."""
        now = self._rows.clock()
        task = Task(
            id=new_task_id(),
            tool=tool.name,
            version=tool.version,
            arguments=params.arguments or {},
            owner=owner_of_request(),
            caller=self._parts.callers.reference(),
            created=now,
            expires=now + self._limits.keep,
            poll_ms=int(tool.task_config.poll_interval.total_seconds() * 1000),
            asks=asks,
        )
        fits = len(json.dumps(params.arguments).encode()) <= self._limits.arguments and self._rows.has_room(task)
        return task if fits else None

    async def _start(self, task: Task) -> Task:
        """Writes the task down and sends its message.

        Raises:
            ToolError: the caller has too many, or it could not be written down.
        """
        try:
            stored = await self._rows.create(task)
            try:
                await self._rows.admit(task, limit=self._limits.per_caller)
                await self._parts.send(stored.task)
            except (StorageError, TooManyTasksError):
                if await self._rows.withdraw(stored):
                    raise
        except asyncio.CancelledError:
            # The client has gone away, and learns no id. The row would count among the caller's until it expires.
            with move_on_after(CANCEL_SECONDS, shield=True), suppress(StorageError):
                left = await self._rows.read(task.id)
                if left is not None and not left.task.running:
                    await self._rows.withdraw(left)
            raise
        except TooManyTasksError as error:
            raise ToolError(
                f"You have {self._limits.per_caller} unfinished tasks. Wait for one, or cancel one."
            ) from error
        except StorageError as error:
            record_failure(error)
            raise ToolError(UNAVAILABLE) from error
        logger.info("A background task of %s was queued.", task.tool)
        return stored.task

    async def _get(self, request: Request, params: TaskParams) -> GetTaskResult:
        task = (await self._find(request, params)).task
        result = await self._rows.result(task) if task.status == "completed" else None
        return GetTaskResult(**_fields(task), result=result, error=task.error, input_requests=task.questions)

    async def _update(self, request: Request, params: UpdateTaskParams) -> Acknowledgement:
        """Takes answers to the questions of a task, and sends it on when it has all of them (SEP-2663).

        Answers to questions that the task does not have, or has no more, are left out.
        """
        if len(json.dumps(params.input_responses).encode()) > self._limits.arguments:
            raise MCPError(INVALID_PARAMS, f"The answers must be smaller than {self._limits.arguments} bytes.")
        while True:
            stored = await self._find(request, params)
            task = stored.task
            asked = task.questions or {}
            known = {name: answer for name, answer in params.input_responses.items() if name in asked}
            if task.status == "working" and task.answers and not task.running and task.lease <= self._rows.clock():
                # Its message may not have been sent.
                await self._parts.send(task)
            if task.status != "input_required" or not known:
                return Acknowledgement()
            changed = _answered(task, known)
            if not self._rows.has_room(changed):
                raise MCPError(INVALID_PARAMS, "The answers are too large for the task.")
            if changed.status == "working":
                # Whatever becomes of this process, the task goes on once the row is written.
                await self._parts.send(changed, delay=self._limits.lease)
            try:
                await self._rows.write(stored, changed)
            except TaskChangedError:
                continue
            if changed.status == "working":
                await self._parts.send(changed)
            return Acknowledgement()

    async def _cancel(self, request: Request, params: TaskParams) -> Acknowledgement:
        """Ends the task, if it has not ended; its run, wherever it is, notices at its next sign of life."""
        while True:
            stored = await self._find(request, params)
            if stored.task.is_final:
                return Acknowledgement()
            try:
                await self._rows.write(stored, stored.task.ended("cancelled"))
            except TaskChangedError:
                continue
            return Acknowledgement()

    async def _find(self, request: Request, params: TaskParams) -> Stored:
        """Returns the task, if the client may ask for it.

        Raises:
            MCPError: the client has not opted in, the header `Mcp-Name` names another task, or the caller has no such
                task.
        """
        if self.client_settings(request) is None:
            raise _missing_capability("The client did not declare the tasks extension.")
        _check_header(params.task_id)
        stored = await self._parts.own(params.task_id)
        if stored is None:
            raise MCPError(INVALID_PARAMS, "There is no such task.")
        return stored


class _Inline(BackgroundTask):
    """What a tool sees while its client waits; a task that its call becomes has the same id and checkpoint."""

    def __init__(self, task: Task, rows: TaskRows) -> None:
        self.id = task.id
        self.task = task
        self._rows = rows

    @override
    async def save(self, checkpoint: object) -> None:
        saved = replace(self.task, checkpoint=json.loads(json.dumps(checkpoint)))
        if not self._rows.has_room(saved):
            raise ToolError(TOO_MUCH)
        self.task, self.checkpoint = saved, deepcopy(saved.checkpoint)


def _recorded[**P, Answer](handler: Callable[P, Awaitable[Answer]]) -> Callable[P, Awaitable[Answer]]:
    """The handler, whose outages are answered as outages: FastMCP takes each for an error of the server's, for good."""

    async def recorded(*args: P.args, **kwargs: P.kwargs) -> Answer:
        with recording_failures():
            return await handler(*args, **kwargs)

    return recorded


def _fields(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "status": task.status,
        "status_message": task.error["message"] if task.error else task.message,
        "created_at": _iso(task.created),
        "last_updated_at": _iso(task.updated),
        "ttl_ms": int((task.expires - task.created) * 1000),
        "poll_interval_ms": task.poll_ms,
    }


def _answered(task: Task, known: Mapping[str, Any]) -> Task:
    """The task with the answers, which goes on when no question is open.

    Raises:
        MCPError: what came is no answer to such a question.
    """
    answers = {**(task.answers or {}), **{name.rpartition("-")[0]: answer for name, answer in known.items()}}
    try:
        answers_of(answers)
    except ValidationError:
        raise MCPError(INVALID_PARAMS, "What came is no answer to the questions of this task.") from None
    open_questions = {name: asked for name, asked in (task.questions or {}).items() if name not in known}
    if open_questions:
        return replace(task, answers=answers, questions=open_questions)
    return replace(task, answers=answers, questions=None, status="working")


def _check_header(task_id: str) -> None:
    """SEP-2243: proxies route by the header, so it has to say what the body says."""
    try:
        header = get_http_request().headers.get(MCP_NAME_HEADER)
    except RuntimeError:
        return
    if header is not None and decode_header_value(header) != task_id:
        raise MCPError(HEADER_MISMATCH, f"The header {MCP_NAME_HEADER} does not match the task id in the body.")


def _missing_capability(message: str) -> MCPError:
    return MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        message,
        {"requiredCapabilities": {"extensions": {TASKS_EXTENSION_ID: {}}}},
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
