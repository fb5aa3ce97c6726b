"""The time limit of tools: over before the host's, told to the client, and nothing to those who are quick."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError

from entra_mcp.server.tool_calls import TOOL_SECONDS, ToolCalls

HOST = Path(__file__).parents[4] / "host.json"


def server(seconds: float) -> FastMCP:
    limited = FastMCP("limited", middleware=[ToolCalls(seconds=seconds)])
    ended: list[str] = []

    async def wait(seconds: float) -> list[str]:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return ended

    async def fail() -> None:
        raise TimeoutError("of its own")

    def block(seconds: float) -> None:
        time.sleep(seconds)

    limited.tool(wait)
    limited.tool(block)
    limited.tool(fail)
    return limited


async def test_tool_that_takes_too_long_is_cancelled_and_the_client_is_told() -> None:
    async with Client(server(0.05)) as client:
        with pytest.raises(ToolError, match="took longer than"):
            await client.call_tool("wait", {"seconds": 60})
        assert (await client.call_tool("wait", {"seconds": 0})).data == ["cancelled"]


async def test_tool_that_blocks_a_thread_keeps_nobody_waiting() -> None:
    async with Client(server(0.1)) as client:
        call = asyncio.create_task(client.call_tool("block", {"seconds": 1}))
        began = time.monotonic()
        assert (await client.call_tool("wait", {"seconds": 0})).data == []
        with pytest.raises(ToolError, match="took longer than"):
            await call
        assert time.monotonic() - began < 0.9


async def test_timeout_of_the_tool_itself_is_not_taken_for_the_limit() -> None:
    async with Client(server(60)) as client:
        with pytest.raises(ToolError) as failure:
            await client.call_tool("fail", {})
    assert "took longer than" not in str(failure.value)


def test_limit_is_well_below_that_of_the_functions_host() -> None:
    text = json.loads(HOST.read_text())["functionTimeout"]
    found = re.fullmatch(r"(\d\d):(\d\d):(\d\d)", text)
    assert found
    hours, minutes, seconds = (int(part) for part in found.groups())
    assert timedelta(seconds=TOOL_SECONDS + 30) <= timedelta(hours=hours, minutes=minutes, seconds=seconds)
