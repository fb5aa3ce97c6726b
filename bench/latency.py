"""Calls of a tool over a network between server and storage: a proxy adds milliseconds to each request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.calls import compare, start
from bench.contestants import MEMORY, OURS, STORAGE, TABLES, contestants
from tests.support.fault_proxy import fault_proxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.session import Session

AT_ONCE = (1, 16)
LATENCIES_MS = (5, 20)


def measure(session: Session) -> None:
    """Adds milliseconds and calls a second; what is in memory has no network before it."""
    with contestants(session.folder, MEMORY, TABLES, OURS) as racers:
        asyncio.run(_race(session, racers))


async def _race(session: Session, racers: Sequence[Contestant]) -> None:
    async with fault_proxy(racers[0].environment[STORAGE]) as (proxy, through):
        far = [replace(racer, environment={**racer.environment, STORAGE: through}) for racer in racers]
        tokens = {racer.name: await start(racer, session.options.people) for racer in far}
        for latency in LATENCIES_MS:
            proxy.latency = latency / 1000
            await compare(session, far, tokens, at_once=AT_ONCE, suffix=f", storage {latency} ms away")
