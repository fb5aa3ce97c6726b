"""FastMCP's client as a program: directly, or through a bridge that speaks stdio.

python fastmcp_client.py URL FOLDER TASK [BRIDGE ...]
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.auth.oauth import OAuth
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from tasks import carry_out, run

from local.check.storage import file_store


class Adapter:
    """The client, as tasks.py wants it."""

    def __init__(self, client: Client[Any]) -> None:
        self._client = client

    async def tools(self) -> list[str]:
        return [tool.name for tool in await self._client.list_tools()]

    async def call(self, tool: str, arguments: dict[str, Any], arrivals: list[float]) -> dict[str, Any]:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            arrivals.append(time.monotonic())

        result = await self._client.call_tool_mcp(tool, arguments, progress_handler=note)
        return result.model_dump(mode="json", by_alias=True)


async def main(url: str, folder: Path, task: str, bridge: list[str]) -> dict[str, Any]:
    """What the task found."""
    if bridge:
        transport = StdioTransport(bridge[0], [*bridge[1:], url], env=dict(os.environ))
    else:
        auth = OAuth(url, client_name="FastMCP", token_storage=file_store(folder / "sign-in"))
        transport = StreamableHttpTransport(url, auth=auth)
    async with Client(transport, mode="legacy" if bridge else "auto") as client:
        # Behind a bridge it is no choice of the bridge's.
        return await carry_out(Adapter(client), task, protocol="" if bridge else str(client.protocol_version))


if __name__ == "__main__":
    run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
