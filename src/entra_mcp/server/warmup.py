"""Pays for lazy imports and schemas before the first user does."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mcp.client import Client

if TYPE_CHECKING:
    from fastmcp import FastMCP

logger = logging.getLogger(__name__)


async def warm_up(server: FastMCP) -> None:
    """Lists the server's tools over MCP, in memory; none of them is called.

    A list that fails is no reason not to start: a provider may ask another server, and what needs none works.

    FastMCP remembers the schemas of the list, to which the MCP library holds the `Mcp-Param-*` headers of each call.
    """
    started = time.monotonic()
    # The SDK's client: importing FastMCP's would cost each start a tenth of a second.
    try:
        async with Client(server._mcp_server) as client:  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see docs/upgrade.md
            tools = (await client.list_tools()).tools
    except Exception as error:  # noqa: BLE001 - whatever a provider raises
        logger.warning("The warm-up did not succeed, so the first user waits longer: %r", error)
    else:
        logger.info("Warmed up with %d tools in %.2f s.", len(tools), time.monotonic() - started)
