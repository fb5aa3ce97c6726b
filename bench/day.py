"""A storm of logins, then as many refreshes as a day has, with the purge running: what grows, and what does not.

The refreshes follow each other in minutes, so nothing of them expires but what lives that short. The baseline stores as
much and has no purge.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import psutil

from bench.contestants import OURS, STORAGE, TABLES, contestants
from bench.figures import PER_SECOND, BenchError
from bench.memory import resident
from entra_mcp.storage.purge import purge
from entra_mcp.storage.table import Table
from tests.support.oauth import OAuthClient
from tests.support.purging import count

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from bench.contestants import Contestant
    from bench.figures import Part

HOURS = 24
"""A sign-in refreshes its tokens once in each."""
AT_ONCE = 16
NAMES = {OURS: "McpOAuthState", TABLES: "Stock"}
"""The tables of the servers."""


@dataclass
class SignIn:
    """One person's client, and the newest of its refresh tokens."""

    client_id: str
    refresh_token: str


def measure(part: Part, options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> None:
    """Adds rows, sockets and megabytes before, between and after, and logins and refreshes a second."""
    with contestants(folder, TABLES, OURS) as racers:
        for racer in racers:
            racer.start()
            asyncio.run(_measure(part, options.storm, racer, say))
            racer.program.stop()


async def _measure(part: Part, people: int, racer: Contestant, say: Callable[[str], None]) -> None:
    process = psutil.Process(racer.program.pid)
    async with Table.from_connection_string(racer.environment[STORAGE], name=NAMES[racer.name]) as table:

        async def note(when: str) -> None:
            part.add(f"rows {when}", racer.name, await count(table), "")
            part.add(f"sockets {when}", racer.name, len(process.net_connections("inet")), "")
            part.add(f"memory {when}", racer.name, resident(racer), "MB")

        sign_ins: list[SignIn] = []
        began = time.monotonic()
        await _each(range(people), lambda _: _sign_in(racer, sign_ins))
        part.add("logins", racer.name, people / (time.monotonic() - began), PER_SECOND)
        await note(f"after {people:,} logins")
        spent = 0.0
        async with httpx2.AsyncClient(base_url=racer.url, timeout=60, trust_env=False) as http:
            for hour in range(HOURS):
                say(f"{racer.name}: hour {hour + 1} of {HOURS}")
                began = time.monotonic()
                purging = asyncio.create_task(purge(table, budget_seconds=60)) if racer.name == OURS else None
                await _each(sign_ins, lambda each: _refresh(http, racer, each))
                spent += time.monotonic() - began
                if purging is not None:
                    await purging
        part.add("refreshes", racer.name, HOURS * people / spent, PER_SECOND)
        await note(f"after {HOURS * people:,} refreshes")


async def _each[T](those: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Does the work for each of them, for so many at once."""
    rest = iter(those)

    async def worker() -> None:
        for each in rest:
            await work(each)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _sign_in(racer: Contestant, sign_ins: list[SignIn]) -> None:
    async with httpx2.AsyncClient(base_url=racer.url, timeout=60, trust_env=False, verify=False) as http:
        client = OAuthClient(http=http)
        tokens = await client.sign_in()
    sign_ins.append(SignIn(client.client_id, tokens["refresh_token"]))


async def _refresh(http: httpx2.AsyncClient, racer: Contestant, each: SignIn) -> None:
    sent = {"grant_type": "refresh_token", "refresh_token": each.refresh_token, "client_id": each.client_id}
    answer = await http.post("/token", data=sent)
    if not answer.is_success:
        raise BenchError(f"{racer.name} answered a refresh with {answer.status_code}: {answer.text[:300]}")
    each.refresh_token = answer.json()["refresh_token"]
