"""Processor time of logins, refreshes and calls: how many of each a core serves in a second.

What counts is the CPU time of the server's process: the clients, Entra ID and the storage service are other machines in
Azure. A login is all of it: registration, consent, the way back from Entra ID, and the exchange of the code.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from bench.contestants import MEMORY, OURS, TABLES, Contestant, Session, turns
from bench.figures import PER_SECOND
from bench.load import signing_in, some_at_once
from tests.support.mcp import structured

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    import psutil

    from tests.support.oauth import OAuthClient

SERVERS = (MEMORY, TABLES, OURS)
AT_ONCE = 4
CALLS = 5
"""Calls with each access token, so that what is remembered of a token shows as it would in use."""


async def measure(session: Session) -> None:
    """Adds operations a second and core; a round before the first warms the servers up and does not count."""
    for racer in session.racers:
        await racer.start()
    for number, racer in turns(session.racers, session.options.rounds + 1):
        session.say(f"round {number - 1} of {session.options.rounds}: {racer.name}")
        for operation, rate in (await _round(racer, logins=session.options.logins)).items():
            if number > 1:
                session.part.add(f"{operation} for a second of processor time", racer.name, rate, PER_SECOND)


async def _round(racer: Contestant, *, logins: int) -> dict[str, float]:
    """Signs so many people in, lets each client make some calls, and refreshes each of their tokens."""

    async def calls(client: OAuthClient, token: str) -> None:
        for number in range(CALLS):
            structured(await client.call(token, "add", {"a": number, "b": 1}))

    async def refresh(client: OAuthClient, token: str) -> None:
        (await client.refresh(token)).raise_for_status()

    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(signing_in(racer)) for _ in range(logins)]
        login_rate, signed_in = await _timed(racer, [client.sign_in() for client in people])
        both = list(zip(people, signed_in, strict=True))
        call_rate, _ = await _timed(racer, [calls(client, tokens["access_token"]) for client, tokens in both])
        refresh_rate, _ = await _timed(racer, [refresh(client, tokens["refresh_token"]) for client, tokens in both])
    return {"logins": login_rate, "refreshes": refresh_rate, "calls": call_rate * CALLS}


async def _timed(racer: Contestant, work: Sequence[Awaitable[Any]]) -> tuple[float, list[Any]]:
    """Does the work; how much of it a second of the server's processor time is enough for, and its results."""
    before = processor_seconds(racer.process)
    results = await some_at_once(work, places=AT_ONCE)
    return len(work) / (processor_seconds(racer.process) - before), results


def processor_seconds(process: psutil.Process) -> float:
    """What it has used since its start."""
    used = process.cpu_times()
    return used.user + used.system
