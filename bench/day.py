"""A storm of logins, then as many refreshes as a day has, with the purge running: what grows, and what does not."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from typing import TYPE_CHECKING

from bench.contestants import OURS, TABLES, Contestant, Session
from bench.figures import PER_SECOND, BenchError
from bench.load import signing_in, some_at_once
from bench.memory import resident
from bench.server import TASKS
from entra_mcp.storage.purge import purge
from entra_mcp.storage.table import Table
from tests.support.oauth import OAuthClient
from tests.support.purging import count

if TYPE_CHECKING:
    import httpx2

SERVERS = (TABLES, OURS)
HOURS = 24
"""A sign-in refreshes its tokens once in each."""
AT_ONCE = 16
NAMES = {OURS: "McpOAuthState", TABLES: "Stock"}
"""The tables of the servers."""


async def measure(session: Session) -> None:
    """Adds logins and refreshes a second, and rows, sockets, tasks and megabytes after each."""
    for racer in session.racers:
        await racer.start()
        await _day(session, racer)
        racer.program.stop()


async def _day(session: Session, racer: Contestant) -> None:
    people = session.options.storm
    async with Table.from_connection_string(session.storage, name=NAMES[racer.name]) as table:

        async def note(when: str) -> None:
            session.part.add(f"rows {when}", racer.name, await count(table), "")
            session.part.add(f"sockets {when}", racer.name, len(racer.process.net_connections("inet")), "")
            session.part.add(f"tasks of the event loop {when}", racer.name, await _event_loop_tasks(racer), "")
            session.part.add(f"memory {when}", racer.name, resident(racer), "MB")

        tokens: dict[str, str] = {}
        began = time.monotonic()
        await some_at_once((_sign_in(racer, tokens) for _ in range(people)), places=AT_ONCE)
        session.part.add("logins", racer.name, people / (time.monotonic() - began), PER_SECOND)
        await note(f"after {people:,} logins")
        spent = 0.0
        async with signing_in(racer) as shared:
            for hour in range(HOURS):
                session.say(f"{racer.name}: hour {hour + 1} of {HOURS}")
                began = time.monotonic()
                purging = asyncio.create_task(purge(table, budget_seconds=60)) if racer.name == OURS else None
                await some_at_once((_refresh(shared.http, tokens, each) for each in tokens), places=AT_ONCE)
                spent += time.monotonic() - began
                if purging is not None:
                    await purging
        session.part.add("refreshes", racer.name, HOURS * people / spent, PER_SECOND)
        await note(f"after {HOURS * people:,} refreshes")


async def _event_loop_tasks(racer: Contestant) -> int:
    """How many it has; the server says it on stderr when it gets the signal."""

    def said() -> list[str]:
        return re.findall(rf"^{TASKS}(\d+)\n", racer.program.log.read_text(), re.MULTILINE)

    before = len(said())
    racer.process.send_signal(signal.SIGUSR1)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if len(numbers := said()) > before:
            return int(numbers[-1])
    raise BenchError(f"{racer.name} does not say how many tasks it has")


async def _sign_in(racer: Contestant, tokens: dict[str, str]) -> None:
    """Adds the refresh token of a new client by its id."""
    async with signing_in(racer) as client:
        refresh_token = (await client.sign_in())["refresh_token"]
    tokens[client.client_id] = refresh_token


async def _refresh(http: httpx2.AsyncClient, tokens: dict[str, str], client_id: str) -> None:
    answer = await OAuthClient(http=http, client_id=client_id).refresh(tokens[client_id])
    if not answer.is_success:
        raise BenchError(f"a refresh was answered with {answer.status_code}: {answer.text[:300]}")
    tokens[client_id] = answer.json()["refresh_token"]
