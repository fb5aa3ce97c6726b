"""Resident memory of a server: when it is ready, when everything was used once, and after very many calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

from bench.calls import PROTOCOLS
from bench.contestants import MEMORY, OURS, contestants, turns
from bench.load import call, sign_in

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.contestants import Contestant
    from bench.figures import Part

AT_ONCE = 16
STEPS = 10
"""Servers take turns after each such part of the calls."""


def measure(part: Part, options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> None:
    """Adds megabytes."""
    with contestants(folder, MEMORY, OURS) as racers:
        asyncio.run(_measure(part, options, racers, say))


async def _measure(
    part: Part, options: argparse.Namespace, racers: Sequence[Contestant], say: Callable[[str], None]
) -> None:
    tokens: dict[str, list[str | None]] = {}
    for racer in racers:
        racer.start()
        part.add("when ready", racer.name, resident(racer), "MB")
        tokens[racer.name] = await sign_in(racer, options.people)
        for protocol in PROTOCOLS:
            await call(racer, tokens[racer.name], protocol=protocol, at_once=AT_ONCE, count=len(tokens[racer.name]))
        part.add(f"after {options.people} sign-ins", racer.name, resident(racer), "MB")
    for step, racer in turns(racers, STEPS):
        say(f"step {step} of {STEPS}: {racer.name}")
        count = options.memory_calls // STEPS
        await call(racer, tokens[racer.name], protocol=PROTOCOLS[step % 2], at_once=AT_ONCE, count=count)
        if step == STEPS:
            part.add(f"after {options.memory_calls:,} calls", racer.name, resident(racer), "MB")


def resident(racer: Contestant) -> float:
    """Megabytes of the process that are in memory."""
    return psutil.Process(racer.program.pid).memory_info().rss / 1e6
