"""Pays for lazy imports before the first user does."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

if TYPE_CHECKING:
    from fastmcp import FastMCP

logger = logging.getLogger(__name__)


async def warm_up(server: FastMCP) -> None:
    """Lists the tools and calls one, in memory.

    The call also opens the connection to the session store. A store that does not answer is no reason not to start:
    readiness tells of it, and what needs no store works.
    """
    started = time.monotonic()
    try:
        async with Client(server) as client:
            tools = await client.list_tools()
            await client.call_tool("add", {"a": 1, "b": 1})
    except (MCPError, ToolError) as error:
        logger.warning("The warm-up did not succeed, so the first user waits longer: %s", error)
    else:
        logger.info("Warmed up with %d tools in %.2f s.", len(tools), time.monotonic() - started)
