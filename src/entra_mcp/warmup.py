"""Pays for lazy imports before the first user does."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fastmcp import Client

if TYPE_CHECKING:
    from fastmcp import FastMCP

logger = logging.getLogger(__name__)


async def warm_up(server: FastMCP) -> None:
    """Lists the tools and calls one, in memory."""
    started = time.monotonic()
    async with Client(server) as client:
        tools = await client.list_tools()
        await client.call_tool("add", {"a": 1, "b": 1})
    logger.info("Warmed up with %d tools in %.2f s.", len(tools), time.monotonic() - started)
