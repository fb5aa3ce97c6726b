"""Processor time of a call in a worker of Azure Functions: beside a plain uvicorn, and beside a function that is empty.

The worker runs Microsoft's runtime for Python behind this repository's host. Microsoft's worker, which no package
index has, adds its own transport to its host, and six lines of its own log a call.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.calls import PROTOCOLS
from bench.contestants import OURS, contestants, turn
from bench.figures import BenchError
from bench.load import call, sign_in
from local.config import REPOSITORY
from tests.support.ports import free_ports
from tests.support.programs import Program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from bench.contestants import Contestant
    from bench.figures import Part

IN_WORKER = "in a worker"
PLAIN = "on plain uvicorn"
EMPTY = "an empty function"
AT_ONCE = 4


def measure(part: Part, options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> None:
    """Adds milliseconds of a call; a round before the first warms up and does not count."""
    with contestants(folder, OURS) as (plain,):
        ports = free_ports(2)
        ours, empty = (
            replace(
                plain,
                name=name,
                port=port,
                public_port=plain.port,
                program=Program("local.host", log=folder / f"{port}.log"),
            )
            for name, port in zip((IN_WORKER, EMPTY), ports, strict=True)
        )
        try:
            plain.start()
            start_host(ours, REPOSITORY)
            start_host(empty, Path(__file__).parent / "empty_app")
            tokens = asyncio.run(sign_in(plain, options.people))
            for number in range(options.rounds + 1):
                say(f"round {number} of {options.rounds}")
                for name, one in turn(((OURS, ours), (PLAIN, plain), (EMPTY, empty)), number):
                    milliseconds = processor_time(one, tokens, options.calls, hosted=one is not plain)
                    if number > 0:
                        part.add("processor time of a call", name, milliseconds, "ms")
        finally:
            ours.program.stop()
            empty.program.stop()


def start_host(one: Contestant, app: Path) -> None:
    """Starts the host with this app, as `func start` does."""
    settings = ("--settings", str(REPOSITORY / "local.settings.sample.json"))
    options = ("--app", str(app), "--port", str(one.port), "--ready-json")
    one.program.start(*options, *settings, environment=one.environment)


def processor_time(one: Contestant, tokens: list[str | None], calls: int, *, hosted: bool) -> float:
    """Milliseconds that one call takes of the process which runs the app: the server's own, or a host's worker.

    Raises:
        BenchError: the host has no worker, or more than one.
    """
    process = psutil.Process(one.program.pid)
    if hosted:
        workers = process.children()
        if len(workers) != 1:
            raise BenchError(f"{one.name}: the host has {len(workers)} workers")
        (process,) = workers
    before = process.cpu_times()
    asyncio.run(call(one, tokens, protocol=PROTOCOLS[0], at_once=AT_ONCE, count=calls))
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / calls * 1000
