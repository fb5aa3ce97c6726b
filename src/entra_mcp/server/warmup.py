"""Pays for lazy imports and first connections before the first user does."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue

logger = logging.getLogger(__name__)


async def warm_up(server: FastMCP, *, session_store: AsyncKeyValue) -> None:
    """Lists the server's tools in memory, and calls a tool that does nothing.

    That tool belongs to a server of its own, so that no real one is called, and uses the same session store, whose
    connection the call opens. A store that does not answer is no reason not to start: readiness tells of it, and what
    needs no store works.
    """
    started = time.monotonic()
    rehearsal = FastMCP("warm-up", session_state_store=session_store)
    rehearsal.tool(_nothing, name="nothing")
    try:
        async with Client(server) as client:
            tools = await client.list_tools()
        async with Client(rehearsal) as client:
            await client.call_tool("nothing")
    except (MCPError, ToolError) as error:
        logger.warning("The warm-up did not succeed, so the first user waits longer: %s", error)
    else:
        logger.info("Warmed up with %d tools in %.2f s.", len(tools), time.monotonic() - started)


async def _nothing() -> None:
    return None
