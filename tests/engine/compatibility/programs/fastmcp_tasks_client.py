"""FastMCP's client with background tasks as a program: it calls `export_report` as a task, and waits for the result.

python fastmcp_tasks_client.py URL FOLDER TASK
"""

# Its packages are in an environment of their own (package.json).
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.auth.oauth import OAuth
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp_client import Adapter
from fastmcp_tasks import call_tool_task
from tasks import carry_out, run

from local.check.storage import FileStore


async def main(url: str, folder: Path, task: str) -> dict[str, Any]:
    """What the task found."""
    auth = OAuth(url, client_name="FastMCP", token_storage=FileStore(folder / "sign-in.json"))
    async with Client(StreamableHttpTransport(url, auth=auth), mode="auto") as client:
        found = await carry_out(Adapter(client), task, protocol=str(client.protocol_version))
        if task == "all":
            handle = await call_tool_task(client, "export_report", {"year": 2024, "region": "asia"})
            begun = await handle.status()
            result = await handle.result()
            found["background"] = {"status": begun.status, "structuredContent": result.structured_content}
        return found


if __name__ == "__main__":
    run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
