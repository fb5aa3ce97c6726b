"""Tools that run as background tasks, by the names that the suite's scenarios give them."""

from __future__ import annotations

import asyncio
from typing import cast

from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.exceptions import ToolError
from fastmcp.tools import tool
from fastmcp.utilities.tasks import TaskConfig
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequest, InputRequiredResult
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY


def form(message: str, field: str, kind: str) -> ElicitRequest:
    """A question with one field."""
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def answer(context: Context, name: str) -> ElicitResult:
    """The client's answer to the question of that name."""
    return cast("ElicitResult", (context.input_responses or {})[name])


@tool
async def greet(name: str) -> str:
    """Greet at once."""
    return f"Hello, {name}!"


@tool(task=True)
async def slow_compute(seconds: float, label: str = "") -> str:
    """Take so many seconds."""
    await asyncio.sleep(seconds)
    return f"computed {label} in {seconds:g} s"


@tool(task=TaskConfig(mode="required"))
async def failing_job() -> str:
    """Fail after a second."""
    await asyncio.sleep(1)
    raise ToolError("The job failed.")


@tool(task=True)
async def protocol_error_job() -> str:
    """Fail with an error of the protocol."""
    raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This job needs what no client has.")


@tool(task=True)
async def confirm_delete(context: Context, filename: str = "file") -> str | InputRequiredResult:
    """Ask for a confirmation."""
    if context.input_responses is None:
        return InputRequiredResult(input_requests={"confirm": form(f"Delete {filename}?", "confirm", "boolean")})
    return f"{filename}: {answer(context, 'confirm').action}"


@tool(task=True)
async def multi_input(context: Context) -> str | InputRequiredResult:
    """Ask two questions at once."""
    if context.input_responses is None:
        questions: dict[str, InputRequest] = {
            "name": form("Your name?", "name", "string"),
            "age": form("Your age?", "age", "integer"),
        }
        return InputRequiredResult(input_requests=questions)
    return ", ".join(f"{name}: {answer(context, name).action}" for name in ("age", "name"))


@tool(task=TaskConfig(mode="required"))
async def test_tool_with_task(context: Context) -> str | InputRequiredResult:
    """Ask for a name, and greet."""
    if context.input_responses is None:
        return InputRequiredResult(input_requests={"user_name": form("Your name?", "user_name", "string")})
    return f"Hello, {(answer(context, 'user_name').content or {})['user_name']}!"
