"""What a client gets to do, whichever it is: `list` the tools, or `all`: list and call them.

One that knows background tasks gets `background` too: to let tools run as tasks.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Adapter(Protocol):
    """A connected client."""

    async def tools(self) -> list[str]: ...

    async def call(self, tool: str, arguments: dict[str, Any], arrivals: list[float]) -> dict[str, Any]: ...


async def carry_out(client: Adapter, task: str, *, protocol: str) -> dict[str, Any]:
    """What was found; `arrivals` are the seconds at which progress came, from any beginning."""
    found: dict[str, Any] = {"protocol": protocol, "tools": await client.tools()}
    if task == "all":
        arrivals: list[float] = []
        found["add"] = await client.call("add", {"a": 2000.25, "b": 345.5}, [])
        found["graph_me"] = await client.call("graph_me", {}, [])
        found["counted"] = await client.call("count_slowly", {"to": 3, "seconds_each": 0.4}, arrivals)
        found["arrivals"] = arrivals
        try:
            found["role"] = await client.call("admin_stats", {}, [])
        except Exception as error:  # noqa: BLE001 - its message is what is looked for
            found["role"] = {"error": innermost(error)}
    return found


def innermost(error: BaseException) -> str:
    """What went wrong, without the groups of tasks around it."""
    if isinstance(error, BaseExceptionGroup):
        return innermost(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return str(error) or type(error).__name__


def run(work: Coroutine[Any, Any, Any]) -> None:
    """Writes what the work found, or what went wrong, as one line of JSON, and ends the process."""
    try:
        found = asyncio.run(work)
    except BaseException as error:  # noqa: BLE001 - its message is what is looked for
        found = {"error": innermost(error)}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    # Whatever thread still waits for a browser is of no more use.
    os._exit(0)
