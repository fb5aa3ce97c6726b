"""Becomes the fixture app the way a process in Azure does, and reports how requests go: a program for the tests."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import uuid
from pathlib import Path

import httpx2

from local.host.messages import Invoke, Loaded
from local.host.runtime import Runtime
from tests.engine.functions.harness import MCP_APP


async def main(steps: list[str]) -> None:
    # The worker puts the app's folder first; the runtime only appends it.
    sys.path.insert(0, str(MCP_APP))
    runtime = Runtime()
    report: list[dict[str, object]] = []
    for step in steps:
        match step:
            case "placeholder":
                with tempfile.TemporaryDirectory() as empty:
                    loaded = await runtime.load(Path(empty))
            case "init":
                loaded = await runtime.load(MCP_APP)
            case _:
                loaded = await runtime.load(MCP_APP, "function_environment_reload_request")
        assert isinstance(loaded, Loaded), loaded
        report.append({"port": loaded.port, "status": await request(runtime, loaded) if loaded.port else None})
    print(json.dumps(report))  # noqa: T201 - the answer of this program


async def request(runtime: Runtime, loaded: Loaded) -> int:
    """One request as the host sends it: the invocation and the proxied request at once."""
    function = next(function for function in loaded.functions if function.name == "mcp")
    invocation_id = str(uuid.uuid4())
    invoke = Invoke(id=invocation_id, function_id=function.id, binding="req", kind="http", data={"path": "echo/x"})
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=3)) as client:
        error, answer = await asyncio.gather(
            runtime.invoke(invoke),
            client.get(f"http://127.0.0.1:{loaded.port}/echo/x", headers={"x-ms-invocation-id": invocation_id}),
        )
    assert error is None, error
    return answer.status_code


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
