"""FastMCP's client with its package for background tasks as a program, in an environment of its own (package.json).

python fastmcp_tasks_client.py URL FOLDER TASK
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.auth.oauth import OAuth
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from fastmcp_client import Adapter
from fastmcp_tasks import call_tool_task
from tasks import carry_out, run

from local.check.storage import file_store


async def work(client: Client[Any]) -> dict[str, Any]:
    """Follows a task to its end: its first status, what it says while it works, and its result."""
    handle = await call_tool_task(client, "take_steps", {"steps": 3, "seconds_each": 4})
    first, messages = await handle.status(), set[str]()
    status = first
    while status.status == "working":
        messages |= {status.status_message} if status.status_message else set()
        await asyncio.sleep(0.5)
        status = await handle.status()
    result = await handle.result()
    return {"first": first.status, "messages": sorted(messages), "structuredContent": result.structured_content}


async def cancelled(client: Client[Any]) -> dict[str, Any]:
    """Cancels a task that runs, and asks for its result."""
    handle = await call_tool_task(client, "take_steps", {"steps": 60, "seconds_each": 1})
    while (await handle.status()).status_message is None:  # noqa: ASYNC110 - it is asked for
        await asyncio.sleep(0.5)
    await handle.cancel()
    try:
        return {"error": f"a result: {(await handle.result()).structured_content}"}
    except ToolError as error:
        return {"error": str(error)}


async def main(url: str, folder: Path, task: str) -> dict[str, Any]:
    """What the task found."""
    auth = OAuth(url, client_name="FastMCP", token_storage=file_store(folder / "sign-in"))
    async with Client(StreamableHttpTransport(url, auth=auth), mode="auto") as client:
        if task == "background":
            return {"work": await work(client), "cancelled": await cancelled(client)}
        return await carry_out(Adapter(client), task, protocol=str(client.protocol_version))


if __name__ == "__main__":
    run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
