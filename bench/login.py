"""Logins, refreshes and calls per second and core, beside the stock AzureProvider on MemoryStore, in one run.

Both servers run as processes of their own against one stand-in for Entra ID; ours has Azurite besides. What counts is
the CPU time of the server's process: the clients, Entra ID and the storage service are other machines in Azure. A login
is all of it: registration, consent, the way back from Entra ID, and the exchange of the code. The servers take turns.

    PYTHONPATH=src python -m bench.login [--rounds 5] [--logins 20] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import pstats
import statistics
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import psutil

from bench.contestants import contestants
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.contestants import Contestant

AT_ONCE = 4
CALLS = 5
"""Calls with each access token, so that what is remembered of a token shows as it would in use."""


@dataclass
class Account:
    """What the operations of one server have cost: CPU seconds for each, round by round."""

    contestant: Contestant
    costs: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    async def measure(self, operation: str, each: int, work: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Does the work, some of it at once; each piece of it is so many operations."""
        process = psutil.Process(self.contestant.program.pid)
        before = process.cpu_times()
        places = asyncio.Semaphore(AT_ONCE)

        async def one(piece: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever the work is for
            async with places:
                return await piece()

        results = await asyncio.gather(*(one(piece) for piece in work))
        after = process.cpu_times()
        spent = after.user + after.system - before.user - before.system
        self.costs.setdefault(operation, []).append(spent / (each * len(work)))
        return results


async def one_round(account: Account, *, logins: int) -> None:
    """Signs so many people in, lets each client make some calls, and refreshes each of their tokens."""
    async with AsyncExitStack() as stack:
        clients = [
            OAuthClient(
                http=await stack.enter_async_context(
                    httpx2.AsyncClient(base_url=account.contestant.url, timeout=30, trust_env=False, verify=False)
                )
            )
            for _ in range(logins)
        ]
        signed_in = await account.measure("login", 1, [client.sign_in for client in clients])

        async def calls(client: OAuthClient, token: str) -> None:
            for number in range(CALLS):
                structured(await client.call(token, "add", {"a": number, "b": 1}))

        async def refresh(client: OAuthClient, token: str) -> None:
            (await client.refresh(token)).raise_for_status()

        pairs = list(zip(clients, signed_in, strict=True))
        await account.measure(
            "call", CALLS, [lambda pair=pair: calls(pair[0], pair[1]["access_token"]) for pair in pairs]
        )
        await account.measure(
            "refresh", 1, [lambda pair=pair: refresh(pair[0], pair[1]["refresh_token"]) for pair in pairs]
        )


async def compare(accounts: Sequence[Account], *, rounds: int, logins: int) -> None:
    """Prints the table. A round before the first warms both servers up and does not count."""
    for number in range(rounds + 1):
        for account in accounts:
            await one_round(account, logins=logins)
            if number == 0:
                account.costs.clear()
    print("| operation | server | CPU ms | per second and core | ratio |")
    print("|---|---|---:|---:|---:|")
    baseline = {operation: statistics.median(costs) for operation, costs in accounts[0].costs.items()}
    for operation in ("login", "refresh", "call"):
        for account in accounts:
            cost = statistics.median(account.costs[operation])
            ratio = baseline[operation] / cost
            print(f"| {operation} | {account.contestant.name} | {cost * 1000:.2f} | {1 / cost:.0f} | {ratio:.2f} |")


def run(folder: Path, *, rounds: int, logins: int, profile: bool) -> None:
    """Starts everything, compares, and ends everything."""
    with contestants(folder) as both:
        for contestant in both:
            contestant.start(*(("--profile", str(folder / f"{contestant.name}.profile")) if profile else ()))
        asyncio.run(compare([Account(contestant) for contestant in both], rounds=rounds, logins=logins))
    if profile:
        for contestant in both:
            print(f"\n== {contestant.name}")
            pstats.Stats(str(folder / f"{contestant.name}.profile")).sort_stats("tottime").print_stats(35)


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(prog="python -m bench.login", description="Compares with the stock provider.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--logins", type=int, default=20, help="in each round, on each server")
    parser.add_argument("--profile", action="store_true", help="print where the time goes; then the table tells little")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), rounds=options.rounds, logins=options.logins, profile=options.profile)


if __name__ == "__main__":
    main()
