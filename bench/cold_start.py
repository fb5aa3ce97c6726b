"""What the first user waits for: a process that starts, the first sign-in and the first call.

Each server is started again in each round. The stock ones read no vault and warm nothing up, and the one on memory
loads no SDK of Azure. The tables are there, as in a deployment. Times are the wall clock's; what the Functions host
adds before it starts a worker is not in them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.contestants import MEMORY, OURS, TABLES, contestants, turns
from bench.load import clients
from tests.support.mcp import structured

if TYPE_CHECKING:
    from bench.contestants import Contestant
    from bench.session import Session

STEPS = ("the process is ready", "first sign-in", "second sign-in", "first call", "second call")


def measure(session: Session) -> None:
    """Adds milliseconds of each step."""
    with contestants(session.folder, MEMORY, TABLES, OURS) as racers:
        for number, racer in turns(racers, session.options.rounds + 1):
            session.say(f"start {number - 1} of {session.options.rounds}: {racer.name}")
            # Before the second start, tables, Python's bytecode and the system's file cache are not there yet.
            existing = {} if number == 1 else {"MCP_CREATE_TABLE": "false"}
            times = one_start(replace(racer, environment={**racer.environment, **existing}))
            if number > 1:
                for step, milliseconds in zip(STEPS, times, strict=True):
                    session.part.add(step, racer.name, milliseconds, "ms")


def one_start(racer: Contestant) -> list[float]:
    """Milliseconds of each step."""
    began = time.perf_counter()
    racer.start()
    ready = (time.perf_counter() - began) * 1000
    try:
        return [ready, *asyncio.run(first_requests(racer))]
    finally:
        racer.program.stop()


async def first_requests(racer: Contestant) -> list[float]:
    """Milliseconds that two sign-ins and two calls take."""
    times: list[float] = []
    tokens: list[str] = []
    async with AsyncExitStack() as stack:
        (client,) = await clients(stack, racer, 1)
        for _ in range(2):
            began = time.perf_counter()
            tokens.append((await client.sign_in())["access_token"])
            times.append((time.perf_counter() - began) * 1000)
        for token in tokens:
            began = time.perf_counter()
            structured(await client.call(token, "add", {"a": 1, "b": 1}))
            times.append((time.perf_counter() - began) * 1000)
    return times
