"""Calls that several instances answer together: they share one table, and any of them serves any person."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.calls import PROTOCOLS
from bench.contestants import OURS, TABLES, contestants, instances, turn
from bench.figures import PER_SECOND
from bench.load import call, sign_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.session import Session

COUNTS = (1, 2, 4)
AT_ONCE = 16
"""Callers, of all instances together."""


def measure(session: Session) -> None:
    """Adds calls a second, of people who signed in at the first instance."""
    with contestants(session.folder, TABLES, OURS) as racers, ExitStack() as stack:
        groups = [stack.enter_context(instances(racer, max(COUNTS))) for racer in racers]
        asyncio.run(_measure(session, groups))


async def _measure(session: Session, groups: Sequence[Sequence[Contestant]]) -> None:
    tokens = {group[0].name: await sign_in(group[0], session.options.people) for group in groups}
    for number in range(session.options.rounds):
        session.say(f"round {number + 1} of {session.options.rounds}")
        for count in COUNTS:
            for group in turn(groups, number):
                name = group[0].name
                session.part.add(
                    f"calls, {AT_ONCE} at once, on {count} instance{'s' if count > 1 else ''}",
                    name,
                    await _calls_a_second(group[:count], tokens[name], session.options.calls),
                    PER_SECOND,
                )


async def _calls_a_second(group: Sequence[Contestant], tokens: Sequence[str | None], calls: int) -> float:
    async def together(at_once: int, count: int) -> float:
        """Seconds until each instance has answered so many calls."""
        each = (call(one, tokens, protocol=PROTOCOLS[0], at_once=at_once, count=count) for one in group)
        return max(load.seconds for load in await asyncio.gather(*each))

    await together(1, len(tokens))  # so that all of them have read what they remember
    share = max(calls // len(group), 1)
    return share * len(group) / await together(AT_ONCE // len(group), share)
