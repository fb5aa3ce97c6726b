"""Calls the tools that a server offers to the person who signed in, as far as nobody has to say with what.

Called is what only reads and needs no argument: anything else may change something, or means nothing without values
that only its author knows.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from fastmcp.exceptions import ToolError
from mcp.types import TextContent

from local.check.report import CheckFailedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastmcp import Client
    from fastmcp.client.client import CallToolResult
    from mcp.types import Tool

    from local.check.report import Reporter

MAX_CHARACTERS = 200
"""Characters of an answer that are shown."""

CONSENT = re.compile(r"https?://\S+/oauth2/v2\.0/authorize\?\S+")
"""The address in the message of a tool that needs a permission which nobody has given yet."""


async def call_tools(
    client: Client[Any], *, report: Reporter, consent: Callable[[str], Awaitable[None]] | None = None
) -> None:
    """Call them all and report each; CheckFailedError names those that failed.

    `consent` opens an address as the person does, and accepts. Without it a tool that asks for consent is left out.
    """
    tools = await client.list_tools()
    if not tools:
        report.done("tools", "the server offers none to this person")
        return
    left_out: list[str] = []
    faults: dict[str, str] = {}
    for tool in tools:
        reason = _why_not(tool)
        if reason is None:
            began = time.monotonic()
            try:
                answer = await _call(client, tool.name, report=report, consent=consent)
            except _ConsentMissingError as missing:
                reason = f"asks for consent at {missing}"
            except Exception as fault:  # noqa: BLE001 - whatever a tool of the fork's ends with is the finding
                faults[tool.name] = str(fault)
            else:
                report.done(tool.name, answer, seconds=time.monotonic() - began)
        if reason is not None:
            left_out.append(f"{tool.name} {reason}")
    if left_out:
        report.done("not called", "; ".join(left_out))
    if faults:
        raise CheckFailedError(f"tool {', '.join(faults)}", "\n".join(faults.values()))


class _ConsentMissingError(Exception):
    """The tool asks for consent, and nobody is there to give it; carries the address."""


def _why_not(tool: Tool) -> str | None:
    """Why a tool is not called; None if it is."""
    if tool.annotations is None or not tool.annotations.read_only_hint:
        return "may change something"
    required = tool.input_schema.get("required", [])
    return f"needs {', '.join(required)}" if required else None


async def _call(
    client: Client[Any], tool: str, *, report: Reporter, consent: Callable[[str], Awaitable[None]] | None
) -> str:
    began = time.monotonic()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        shown = message or (f"{progress:g}" if total is None else f"{progress:g} of {total:g}")
        report.progress(f"{shown}  (after {time.monotonic() - began:.2f} s)")

    try:
        return _shown(await client.call_tool(tool, progress_handler=on_progress))
    except ToolError as refusal:
        address = CONSENT.search(str(refusal))
        if address is None:
            raise
        if consent is None:
            raise _ConsentMissingError(address[0]) from refusal
        report.progress(f"{tool} asks for consent: a person opens the address in its message, and accepts")
        await consent(address[0])
        return _shown(await client.call_tool(tool, progress_handler=on_progress))


def _shown(result: CallToolResult) -> str:
    """The beginning of an answer, on one line."""
    content: Any = result.structured_content
    if content is not None:
        value = content["result"] if content.keys() == {"result"} else content
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    else:
        blocks = [block.text if isinstance(block, TextContent) else f"<{block.type}>" for block in result.content]
        text = " ".join(blocks) or "nothing"
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…"
