"""Calls of a tool over a network between server and storage: a proxy adds milliseconds to each request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.calls import compare, start
from bench.contestants import MEMORY, OURS, STORAGE, TABLES, contestants
from tests.support.fault_proxy import fault_proxy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.contestants import Contestant
    from bench.figures import Part

AT_ONCE = (1, 16)
LATENCIES_MS = (5, 20)


def measure(part: Part, options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> None:
    """Adds milliseconds and calls a second; what is in memory has no network before it."""
    with contestants(folder, MEMORY, TABLES, OURS) as racers:
        asyncio.run(_race(part, options, racers, say))


async def _race(
    part: Part, options: argparse.Namespace, racers: Sequence[Contestant], say: Callable[[str], None]
) -> None:
    async with fault_proxy(racers[0].environment[STORAGE]) as (proxy, through):
        far = [replace(racer, environment={**racer.environment, STORAGE: through}) for racer in racers]
        tokens = {racer.name: await start(racer, options.people) for racer in far}
        for latency in LATENCIES_MS:
            proxy.latency = latency / 1000
            await compare(part, options, far, tokens, say, at_once=AT_ONCE, suffix=f", storage {latency} ms away")
