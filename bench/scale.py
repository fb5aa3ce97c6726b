"""Where a deployment saturates first: people who call, refresh and sign in, second by second of virtual time.

A simulation, seeded, so that it says the same each time; docs/scale.md has its tables. What an operation sends comes
from `bench/costs.py`, what it computes from the recorded benchmarks.

    PYTHONPATH=src python -m bench.scale [--write]
"""

from __future__ import annotations

import argparse
import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from bench.contestants import OURS
from bench.costs import CALL, LOGIN, REFRESH
from bench.document import RECORDED
from bench.figures import Run
from entra_mcp.settings import Settings
from entra_mcp.vault.rotation import FOLLOW_SECONDS
from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = REPOSITORY / "docs" / "scale.md"
SEED = 1
SECONDS = 20
"""Simulated, after as long as an instance remembers a sign-in, so that the caches are as they are in use."""

PARTITIONS = 16
"""Of each collection (docs/storage.md)."""
PARTITION_ENTITIES, ACCOUNT_REQUESTS = 2_000, 20_000
"""Limits of Table Storage, a second."""
VAULT_TRANSACTIONS, VAULT_SECONDS = 4_000, 10
VAULT_READ = 4
"""Requests of one reading of the vault: the newest version, the list of versions, that version, the client secret."""
CORES, AT_ONCE, MAX_INSTANCES = 250, 32, 1_000
"""Cores of a region and subscription unless raised; requests at once and instances of an app (infra/main.bicep)."""
HOST = 2.0
"""Assumed: the host and the worker of Azure Functions take as much processor time as the server itself."""
BUSY = 0.6
"""Part of an instance's core that is to be used in the mean."""
CACHE_SECONDS: int = Settings.model_fields["upstream_token_cache_seconds"].default
REFRESH_SECONDS, STORM_SECONDS = 3_600, 900


@dataclass(frozen=True, slots=True)
class Habit:
    """How a person uses the server: bursts an hour, calls in one, seconds between those, and seconds a call takes."""

    name: str
    bursts: int
    calls: int
    gap: float
    lasts: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.bursts * self.calls / 3600


OFFICE = Habit("people who chat", bursts=4, calls=10, gap=3.0, lasts=0.3)
AGENTS = Habit("agents that work on", bursts=20, calls=30, gap=1.0, lasts=0.3)
HABITS = (OFFICE, AGENTS)
CROWDS = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Load:
    """What so many people mean: in the mean of a second, but for `requests` and `partition` in the busiest second."""

    instances: int
    calls: float
    tokens: float
    reads_per_call: float
    requests: int
    partition: int


def per_core(operation: str) -> float:
    """Logins, refreshes or calls for a second of a core's time, the host's share included."""
    part = Run.read(RECORDED).parts["cpu"]
    return part.value(f"{operation} for a second of processor time", OURS) / HOST


def instances_for(people: int, habit: Habit) -> int:
    """As many as computing and requests at once need, at one core each."""
    cores = people * (habit.rate / per_core("calls") + 1 / REFRESH_SECONDS / per_core("refreshes"))
    return max(1, math.ceil(cores / BUSY), math.ceil(people * habit.rate * habit.lasts / AT_ONCE))


@cache
def simulate(people: int, habit: Habit, *, cache_seconds: int = CACHE_SECONDS) -> Load:
    """One crowd for some seconds; any instance may get any call, and each remembers a sign-in by itself."""
    chance = random.Random(SEED)  # noqa: S311 - a simulation
    instances = instances_for(people, habit)
    remembered: dict[tuple[int, int], float] = {}
    requests: Counter[int] = Counter()
    partitions: Counter[tuple[int, int]] = Counter()
    calls = reads = tokens = 0
    for moment, person, is_call in sorted(_events(people, habit, chance, begin=-cache_seconds)):
        second, sign_in = math.floor(moment), (person, chance.randrange(instances))
        if not is_call:
            sent, entities = REFRESH.stored, 2  # its token set is read and written
            tokens += second >= 0
        elif remembered.get(sign_in, -math.inf) > moment:
            sent = entities = 0
        else:
            sent = entities = CALL.stored
            remembered[sign_in] = moment + cache_seconds
        calls += is_call and second >= 0
        if second >= 0 and sent:
            reads += sent if is_call else 0
            requests[second] += sent
            partitions[second, person % PARTITIONS] += entities
    return Load(
        instances=instances,
        calls=calls / SECONDS,
        tokens=tokens * REFRESH.tokens / SECONDS,
        reads_per_call=reads / max(calls, 1),
        requests=max(requests.values(), default=0),
        partition=max(partitions.values(), default=0),
    )


def _events(people: int, habit: Habit, chance: random.Random, *, begin: float) -> Iterator[tuple[float, int, bool]]:
    """When who calls (True) or refreshes (False); a burst may have begun before that."""
    for moment in _arrivals(people / REFRESH_SECONDS, begin, chance):
        yield moment, chance.randrange(people), False
    for first in _arrivals(people * habit.bursts / 3600, begin - 2 * habit.calls * habit.gap, chance):
        person, moment = chance.randrange(people), first
        for _ in range(habit.calls):
            if begin <= moment < SECONDS:
                yield moment, person, True
            moment += chance.expovariate(1 / habit.gap)


def _arrivals(rate: float, start: float, chance: random.Random) -> Iterator[float]:
    moment = start + chance.expovariate(rate)
    while moment < SECONDS:
        yield moment
        moment += chance.expovariate(rate)


def crowds() -> Iterator[str]:
    """Each crowd of each habit."""
    yield "| who | people | calls/s | instances | reads a call | storage: requests/s | busiest partition | tokens/s |"
    yield f"|---|{'---:|' * 7}"
    for habit, people in product(HABITS, CROWDS):
        load = simulate(people, habit)
        yield (
            f"| {habit.name} | {people:,} | {load.calls:,.1f} | {load.instances:,} | {load.reads_per_call:.2f} "
            f"| {load.requests:,} | {load.partition:,} | {load.tokens:,.2f} |"
        )


def caches() -> Iterator[str]:
    """What a longer or shorter memory of sign-ins changes for 10,000 people."""
    yield "| seconds | " + " | ".join(f"{habit.name}: reads a call | busiest second" for habit in HABITS) + " |"
    yield f"|---:|{'---:|' * 2 * len(HABITS)}"
    for seconds in (0, CACHE_SECONDS, 60, 300):
        loads = [simulate(10_000, habit, cache_seconds=seconds) for habit in HABITS]
        yield f"| {seconds} | {' | '.join(f'{load.reads_per_call:.2f} | {load.requests:,}' for load in loads)} |"


def limits() -> Iterator[str]:
    """How many people reach each limit, in proportion to the largest crowd."""
    yield f"| limit | {' | '.join(habit.name for habit in HABITS)} |"
    yield f"|---|{'---:|' * len(HABITS)}"
    loads = [simulate(CROWDS[-1], habit) for habit in HABITS]
    for name, limit, used in (
        (f"{CORES} cores of a region: {CORES} instances of 2 GB", CORES, [load.instances for load in loads]),
        (f"{MAX_INSTANCES:,} instances of an app", MAX_INSTANCES, [load.instances for load in loads]),
        (f"account: {ACCOUNT_REQUESTS:,} requests/s", ACCOUNT_REQUESTS, [load.requests for load in loads]),
        (f"partition: {PARTITION_ENTITIES:,} entities/s", PARTITION_ENTITIES, [load.partition for load in loads]),
    ):
        yield f"| {name} | {' | '.join(_two_digits(CROWDS[-1] * limit / each) for each in used)} |"


def storm() -> Iterator[str]:
    """Everybody signs in within a quarter of an hour."""
    yield "| people | logins a second | requests to storage/s | tokens from Entra ID/s | instances |"
    yield f"|{'---:|' * 5}"
    for people in CROWDS:
        rate = people / STORM_SECONDS
        instances = max(1, math.ceil(rate / per_core("logins") / BUSY))
        yield f"| {people:,} | {rate:,.1f} | {rate * LOGIN.stored:,.0f} | {rate * LOGIN.tokens:,.1f} | {instances:,} |"


def vault() -> Iterator[str]:
    """What reading the vault takes of its limit."""
    yield "| instances | in use, transactions in 10 s | all start at once | of the limit |"
    yield f"|{'---:|' * 4}"
    for instances in (1, 40, 100, MAX_INSTANCES):
        steady, start = instances * VAULT_READ * VAULT_SECONDS / FOLLOW_SECONDS, instances * VAULT_READ
        yield f"| {instances:,} | {steady:,.1f} | {start:,} | {start / VAULT_TRANSACTIONS:.0%} |"


def _two_digits(value: float) -> str:
    return f"{round(value, 1 - math.floor(math.log10(value))):,.0f}"


TABLES = {each.__name__: each for each in (crowds, caches, limits, storm, vault)}
"""The lines of each, by its name."""


def written(text: str) -> str:
    """The document with the tables of today; each is between two comments that name it."""
    return re.sub(
        rf"<!-- ({'|'.join(TABLES)}) -->\n.*?<!-- end -->",
        lambda found: "\n".join([f"<!-- {found[1]} -->", *TABLES[found[1]](), "<!-- end -->"]),
        text,
        flags=re.DOTALL,
    )


def write() -> None:
    """Writes the tables into docs/scale.md."""
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="Simulates crowds.")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scale.md")
    if parser.parse_args().write:
        write()
    else:
        for name, table in TABLES.items():
            print(name, "", *table(), "", sep="\n")
