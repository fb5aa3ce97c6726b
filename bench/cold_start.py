"""What the first user waits for: a process that starts, the first sign-in and the first call, beside the stock server.

Both servers are processes of their own, started anew in each round, in turns. The baseline is FastMCP's AzureProvider
as it ships, on `MemoryStore`: it reads no vault, opens no table and warms nothing up. Times are the wall clock's; what
the Functions host adds before it starts a worker is not in them.

    PYTHONPATH=src python -m bench.cold_start [--rounds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from bench.contestants import STOCK, contestants
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from bench.contestants import Contestant

STEPS = ("ready", "first sign-in", "second sign-in", "first call", "second call")


async def first_requests(contestant: Contestant) -> list[float]:
    """Milliseconds that two sign-ins and two calls take."""
    times: list[float] = []
    tokens: list[str] = []
    async with httpx2.AsyncClient(base_url=contestant.url, timeout=30, trust_env=False, verify=False) as http:
        client = OAuthClient(http=http)
        for _ in range(2):
            began = time.perf_counter()
            tokens.append((await client.sign_in())["access_token"])
            times.append((time.perf_counter() - began) * 1000)
        for token in tokens:
            began = time.perf_counter()
            structured(await client.call(token, "add", {"a": 1, "b": 1}))
            times.append((time.perf_counter() - began) * 1000)
    return times


def one_start(contestant: Contestant) -> list[float]:
    """Milliseconds of each step."""
    began = time.perf_counter()
    contestant.start()
    ready = (time.perf_counter() - began) * 1000
    try:
        return [ready, *asyncio.run(first_requests(contestant))]
    finally:
        contestant.program.stop()


def main() -> None:
    """Reads the arguments, measures, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description="Compares with the stock provider.")
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, contestants(Path(folder)) as both:
        times: dict[str, list[list[float]]] = {contestant.name: [] for contestant in both}
        for number in range(rounds + 1):
            for contestant in both:
                measured = one_start(contestant)
                if number > 0:  # before that, Python's bytecode and the system's file cache are not there yet
                    times[contestant.name].append(measured)
    print("| step | server | p50 ms | slowest ms | ratio |")
    print("|---|---|---:|---:|---:|")
    for step, name in enumerate(STEPS):
        baseline = statistics.median(row[step] for row in times[STOCK])
        for contestant, rows in times.items():
            column = [row[step] for row in rows]
            median = statistics.median(column)
            print(f"| {name} | {contestant} | {median:.0f} | {max(column):.0f} | {median / baseline:.2f} |")


if __name__ == "__main__":
    main()
