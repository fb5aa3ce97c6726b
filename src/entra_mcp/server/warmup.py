"""Pays for lazy imports and first connections before the first user does."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fastmcp import Client, Context, FastMCP
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue

logger = logging.getLogger(__name__)


async def warm_up(server: FastMCP, *, session_store: AsyncKeyValue) -> None:
    """Lists the server's tools in memory, and calls a tool that reads its session.

    That tool belongs to a server of its own, so that no real one is called, and uses the same session store, whose
    connection the read opens. A store that does not answer is no reason not to start: readiness names it, and what
    needs no store works.

    FastMCP remembers the schemas of the list, to which the MCP library holds the `Mcp-Param-*` headers of each call.
    """
    started = time.monotonic()
    rehearsal = FastMCP("warm-up", session_state_store=session_store)
    rehearsal.tool(_read_session, name="read_session")
    try:
        async with Client(server) as client:
            tools = await client.list_tools()
        async with Client(rehearsal) as client:
            await client.call_tool("read_session")
    except (MCPError, ToolError) as error:
        logger.warning("The warm-up did not succeed, so the first user waits longer: %s", error)
    else:
        logger.info("Warmed up with %d tools in %.2f s.", len(tools), time.monotonic() - started)


async def _read_session(context: Context) -> None:
    await context.get_state("warm-up")
