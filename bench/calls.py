"""Calls of a tool: the first of a burst and those that follow it, by 1 to 256 callers, in both protocols."""

from __future__ import annotations

import asyncio
import time
from itertools import product
from statistics import median
from typing import TYPE_CHECKING

from bench.contestants import ALL, Contestant, Session, turn
from bench.figures import PER_SECOND
from bench.load import call, sign_in
from entra_mcp.settings import Settings
from tests.support.mcp import SESSIONLESS

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVERS = ALL
PROTOCOLS = (SESSIONLESS, "2025-11-25")
AT_ONCE = (1, 16, 64, 256)
WARM_UP = 100
"""Calls of other people before a burst: a processor that has been idle is slow at first, whatever it runs."""

PAUSE_SECONDS = Settings.model_fields["upstream_token_cache_seconds"].default + 0.5


async def measure(session: Session) -> None:
    """Adds milliseconds and calls a second of every server."""
    tokens = {racer.name: await start(racer, session.options.people) for racer in session.racers}
    await compare(session, session.racers, tokens, at_once=AT_ONCE)


async def start(racer: Contestant, people: int) -> list[str | None]:
    """Starts it, signs so many people in and as many others, and lets each call once; returns their access tokens."""
    await racer.start()
    tokens = await sign_in(racer, 2 * people)
    for protocol in PROTOCOLS:
        await call(racer, tokens, protocol=protocol, at_once=1, count=len(tokens))
    return tokens


async def compare(
    session: Session,
    racers: Sequence[Contestant],
    tokens: dict[str, list[str | None]],
    *,
    at_once: Sequence[int],
    suffix: str = "",
) -> None:
    """Adds a sample of each kind of call in each round; `tokens` are those of each server by its name.

    The servers take turns with each kind: what else the machine does meanwhile then slows all of them.
    """
    used = time.monotonic()
    for number in range(session.options.rounds):
        session.say(f"round {number + 1} of {session.options.rounds}{suffix}")
        await asyncio.sleep(used + PAUSE_SECONDS - time.monotonic())
        for place, protocol in enumerate(PROTOCOLS):
            for racer in turn(racers, number):
                # Each protocol has its share of the people: the first call of one is the first of both.
                people, others = (tokens[racer.name][share :: 2 * len(PROTOCOLS)] for share in (place, place + 2))
                await call(racer, others, protocol=protocol, at_once=1, count=WARM_UP)
                first = await call(racer, people, protocol=protocol, at_once=1, count=len(people))
                session.part.add(
                    f"first call of a burst, {protocol}{suffix}", racer.name, median(first.times) * 1000, "ms"
                )
        for protocol, many in product(PROTOCOLS, at_once):
            for racer in turn(racers, number):
                people = tokens[racer.name]
                await call(racer, people, protocol=protocol, at_once=1, count=len(people))
                count = max(session.options.calls, many)
                load = await call(racer, people, protocol=protocol, at_once=many, count=count)
                of_them = f"{protocol}, {many} at once{suffix}"
                session.part.add(f"p50 of a call, {of_them}", racer.name, median(load.times) * 1000, "ms")
                session.part.add(f"calls, {of_them}", racer.name, len(load.times) / load.seconds, PER_SECOND)
        used = time.monotonic()
