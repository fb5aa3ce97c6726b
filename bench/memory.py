"""Resident memory of a server: when it is ready, when everything was used once, and after very many calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

from bench.calls import PROTOCOLS
from bench.contestants import MEMORY, OURS, contestants, turns
from bench.load import call, sign_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.session import Session

AT_ONCE = 16
STEPS = 10
"""Servers take turns after each such part of the calls."""


def measure(session: Session) -> None:
    """Adds megabytes."""
    with contestants(session.folder, MEMORY, OURS) as racers:
        asyncio.run(_measure(session, racers))


async def _measure(session: Session, racers: Sequence[Contestant]) -> None:
    tokens: dict[str, list[str | None]] = {}
    for racer in racers:
        racer.start()
        session.part.add("when ready", racer.name, resident(racer), "MB")
        tokens[racer.name] = await sign_in(racer, session.options.people)
        for protocol in PROTOCOLS:
            await call(racer, tokens[racer.name], protocol=protocol, at_once=AT_ONCE, count=len(tokens[racer.name]))
        session.part.add(f"after {session.options.people} sign-ins", racer.name, resident(racer), "MB")
    for step, racer in turns(racers, STEPS):
        session.say(f"step {step} of {STEPS}: {racer.name}")
        count = session.options.memory_calls // STEPS
        await call(racer, tokens[racer.name], protocol=PROTOCOLS[step % 2], at_once=AT_ONCE, count=count)
        if step == STEPS:
            session.part.add(f"after {session.options.memory_calls:,} calls", racer.name, resident(racer), "MB")


def resident(racer: Contestant) -> float:
    """Megabytes of the process that are in memory."""
    return psutil.Process(racer.program.pid).memory_info().rss / 1e6
