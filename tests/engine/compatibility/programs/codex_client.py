"""Codex without its model: its own app server connects, lists and calls.

python codex_client.py TASK
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from tasks import carry_out, run

SERVER = "entra"


class AppServer:
    """`codex app-server`, which speaks JSON-RPC in lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._number = 0
        self.startup: dict[str, Any] = {}
        self.progress: list[float] = []
        """When news of a running call came."""

    async def request(self, method: str, **params: object) -> dict[str, Any]:
        """The result; raises RuntimeError with the server's message."""
        self._number += 1
        await self.send(id=self._number, method=method, params=params)
        while (message := await self.read()).get("id") != self._number:
            pass
        if "error" in message:
            raise RuntimeError(message["error"]["message"])
        return message["result"]

    async def send(self, **message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        message = json.loads(await self._process.stdout.readline())
        if message.get("method") == "mcpServer/startupStatus/updated":
            self.startup = message["params"]
        if message.get("method") == "item/mcpToolCall/progress":
            arrivals = self.progress
            arrivals.append(time.monotonic())
        return message


class Adapter:
    """The app server, as tasks.py wants it."""

    def __init__(self, server: AppServer, thread: str) -> None:
        self._server = server
        self._thread = thread

    async def tools(self) -> list[str]:
        (found,) = (await self._server.request("mcpServerStatus/list"))["data"]
        return list(found["tools"])

    async def call(self, tool: str, arguments: dict[str, Any], arrivals: list[float]) -> dict[str, Any]:
        self._server.progress = arrivals
        return await self._server.request(
            "mcpServer/tool/call", threadId=self._thread, server=SERVER, tool=tool, arguments=arguments
        )


async def main(task: str) -> dict[str, Any]:
    """What the task found."""
    process = await asyncio.create_subprocess_exec(
        "codex",
        "app-server",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1 << 24,
    )
    server = AppServer(process)
    info = {"name": "compatibility", "version": "1"}
    await server.request("initialize", clientInfo=info, capabilities={"experimentalApi": True})
    await server.send(method="initialized")
    thread = (await server.request("thread/start"))["thread"]["id"]
    while server.startup.get("status") not in {"ready", "failed"}:
        await server.read()
    if server.startup["status"] == "failed":
        raise RuntimeError(server.startup["error"])
    return await carry_out(Adapter(server, thread), task, protocol="")


if __name__ == "__main__":
    run(main(sys.argv[1]))
