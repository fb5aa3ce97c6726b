"""Processor time of a call in a worker of Azure Functions: beside a plain uvicorn, and beside a function that is empty.

The worker runs Microsoft's runtime for Python behind this repository's host. Microsoft's worker, which no package
index has, adds its own transport to its host, and six lines of its own log a call.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.calls import PROTOCOLS
from bench.contestants import OURS, Session, turn
from bench.cpu import AT_ONCE, processor_seconds
from bench.load import call, sign_in
from local.config import REPOSITORY
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost

SERVERS = (OURS,)
PLAIN = "on plain uvicorn"
EMPTY = "an empty function"
APPS = {OURS: REPOSITORY, EMPTY: Path(__file__).parent / "empty_app"}
"""What runs in a worker."""


async def measure(session: Session) -> None:
    """Adds milliseconds of a call; a round before the first warms up and does not count."""
    (plain,) = session.racers
    await plain.start()
    racers = [(PLAIN, plain, plain.process)]
    with ExitStack() as stack:
        for (name, app), port in zip(APPS.items(), free_ports(len(APPS)), strict=True):
            host = FunctionsHost(port=port, log=session.folder / f"{port}.log", app=app)
            stack.callback(host.stop)
            await asyncio.to_thread(host.start, plain.environment)
            (worker,) = host.workers
            racers.append((name, replace(plain, name=name, port=port, public_port=plain.port), worker))
        tokens = await sign_in(plain, session.options.people)
        for number in range(session.options.rounds + 1):
            session.say(f"round {number} of {session.options.rounds}")
            for name, racer, process in turn(racers, number):
                before = processor_seconds(process)
                await call(racer, tokens, protocol=PROTOCOLS[0], at_once=AT_ONCE, count=session.options.calls)
                seconds = processor_seconds(process) - before
                if number > 0:
                    session.part.add("processor time of a call", name, seconds / session.options.calls * 1000, "ms")
