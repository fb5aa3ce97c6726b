"""Resident memory of a server: when it is ready, when everything was used once, and after very many calls."""

from __future__ import annotations

from bench.calls import PROTOCOLS
from bench.contestants import MEMORY, OURS, Contestant, Session, turns
from bench.load import call, sign_in

SERVERS = (MEMORY, OURS)
AT_ONCE = 16
STEPS = 10
"""Servers take turns after each such part of the calls."""


async def measure(session: Session) -> None:
    """Adds megabytes."""
    people, calls = session.options.people, session.options.memory_calls
    tokens: dict[str, list[str | None]] = {}
    for racer in session.racers:
        await racer.start()
        session.part.add("when ready", racer.name, resident(racer), "MB")
        tokens[racer.name] = await sign_in(racer, people)
        for protocol in PROTOCOLS:
            await call(racer, tokens[racer.name], protocol=protocol, at_once=AT_ONCE, count=people)
        session.part.add(f"after {people} sign-ins", racer.name, resident(racer), "MB")
    for step, racer in turns(session.racers, STEPS):
        session.say(f"step {step} of {STEPS}: {racer.name}")
        protocol = PROTOCOLS[step % len(PROTOCOLS)]
        await call(racer, tokens[racer.name], protocol=protocol, at_once=AT_ONCE, count=calls // STEPS)
        if step == STEPS:
            session.part.add(f"after {calls:,} calls", racer.name, resident(racer), "MB")


def resident(racer: Contestant) -> float:
    """Megabytes of the process that are in memory."""
    return racer.process.memory_info().rss / 1e6
