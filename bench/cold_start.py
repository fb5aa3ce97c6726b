"""What the first user waits for: a process that starts, the first sign-in and the first call.

Each server is started again in each round. The stock ones read no vault and warm nothing up, and the one on memory
loads no SDK of Azure. The tables are there, as in a deployment. Times are the wall clock's; what the Functions host
adds before it starts a worker is not in them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

from bench.contestants import MEMORY, OURS, TABLES, Contestant, Session, turns
from bench.load import signing_in
from tests.support.mcp import structured

SERVERS = (MEMORY, TABLES, OURS)
STEPS = ("the process is ready", "first sign-in", "second sign-in", "first call", "second call")


async def measure(session: Session) -> None:
    """Adds milliseconds of each step."""
    for number, racer in turns(session.racers, session.options.rounds + 1):
        session.say(f"start {number - 1} of {session.options.rounds}: {racer.name}")
        # Before the second start, tables, Python's bytecode and the system's file cache are not there yet.
        existing = {} if number == 1 else {"MCP_CREATE_TABLE": "false"}
        times = await _start(replace(racer, environment={**racer.environment, **existing}))
        racer.program.stop()
        if number > 1:
            for step, milliseconds in zip(STEPS, times, strict=True):
                session.part.add(step, racer.name, milliseconds, "ms")


async def _start(racer: Contestant) -> list[float]:
    """Milliseconds of each step."""
    moments: list[float] = []
    tokens: list[str] = []

    def note() -> None:
        moments.append(time.perf_counter() * 1000)

    async with signing_in(racer) as client:
        note()
        await racer.start()
        note()
        for _ in range(2):
            tokens.append((await client.sign_in())["access_token"])
            note()
        for token in tokens:
            structured(await client.call(token, "add", {"a": 1, "b": 1}))
            note()
    return [later - earlier for earlier, later in pairwise(moments)]
