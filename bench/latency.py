"""Calls of a tool over a network between server and storage: a proxy adds milliseconds to each request."""

from __future__ import annotations

from dataclasses import replace

from bench.calls import compare, start
from bench.contestants import MEMORY, OURS, STORAGE, TABLES, Session
from tests.support.fault_proxy import fault_proxy

SERVERS = (MEMORY, TABLES, OURS)
AT_ONCE = (1, 16)
LATENCIES_MS = (5, 20)


async def measure(session: Session) -> None:
    """Adds milliseconds and calls a second; what is in memory has no network before it."""
    async with fault_proxy(session.storage) as (proxy, through):
        far = [replace(racer, environment={**racer.environment, STORAGE: through}) for racer in session.racers]
        tokens = {racer.name: await start(racer, session.options.people) for racer in far}
        for latency in LATENCIES_MS:
            proxy.latency = latency / 1000
            await compare(session, far, tokens, at_once=AT_ONCE, suffix=f", storage {latency} ms away")
