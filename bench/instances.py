"""Calls that several instances answer together: they share one table, and any of them serves any person."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.calls import PROTOCOLS
from bench.contestants import OURS, TABLES, Contestant, Session, turn
from bench.figures import PER_SECOND
from bench.load import call, sign_in
from tests.support.ports import free_ports
from tests.support.programs import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVERS = (TABLES, OURS)
COUNTS = (1, 2, 4)
AT_ONCE = 16
"""Callers, of all instances together."""


async def measure(session: Session) -> None:
    """Adds calls a second, of people who signed in at the first instance."""
    with ExitStack() as stack:
        groups = {racer.name: await _instances(stack, racer) for racer in session.racers}
        tokens = {name: await sign_in(group[0], session.options.people) for name, group in groups.items()}
        for number in range(session.options.rounds):
            session.say(f"round {number + 1} of {session.options.rounds}")
            for count in COUNTS:
                what = f"calls, {AT_ONCE} at once, on {count} instance{'s' if count > 1 else ''}"
                for name in turn(SERVERS, number):
                    rate = await _calls_a_second(groups[name][:count], tokens[name], session.options.calls)
                    session.part.add(what, name, rate, PER_SECOND)


async def _instances(stack: ExitStack, first: Contestant) -> Sequence[Contestant]:
    """The instances of one server, started: all have the address, the table and the keys of the first."""
    found = [first]
    for port in free_ports(max(COUNTS) - 1):
        program = Program("bench.server", log=first.program.log.with_name(f"{first.name}-{port}.log"))
        stack.callback(program.stop)
        found.append(replace(first, port=port, public_port=first.port, program=program))
    for each in found:
        await each.start()
    return found


async def _calls_a_second(group: Sequence[Contestant], tokens: Sequence[str | None], calls: int) -> float:
    async def together(at_once: int, count: int) -> float:
        """Seconds until each instance has answered so many calls."""
        each = (call(one, tokens, protocol=PROTOCOLS[0], at_once=at_once, count=count) for one in group)
        return max(load.seconds for load in await asyncio.gather(*each))

    await together(1, len(tokens))  # so that all of them have read what they remember
    share = max(calls // len(group), 1)
    return share * len(group) / await together(AT_ONCE // len(group), share)
