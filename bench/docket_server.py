"""The same tool as a background task of FastMCP on Docket and Redis: a program of the environment that has both.

python docket_server.py PORT
"""

# Its packages are in an environment of their own (bench/tasks.py).
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import sys
import time

from fastmcp import FastMCP
from fastmcp_tasks import TasksExtension

server = FastMCP("Docket")
server.add_extension(TasksExtension())


@server.tool(task=True)
async def moment() -> float:
    """Say when this runs, in seconds since 1970."""
    return time.time()


server.run(transport="http", port=int(sys.argv[1]), stateless_http=True, show_banner=False)
