"""Processor time of a call in a worker of Azure Functions: beside a plain uvicorn, and beside a function that is empty.

The worker runs Microsoft's runtime for Python behind this repository's host. Microsoft's worker, which no package
index has, adds its own transport to its host, and six lines of its own log a call.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.calls import PROTOCOLS
from bench.contestants import OURS, contestants, turn
from bench.cpu import AT_ONCE, processor_seconds
from bench.load import call, sign_in
from local.config import REPOSITORY
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost

if TYPE_CHECKING:
    from bench.session import Session

PLAIN = "on plain uvicorn"
EMPTY = "an empty function"
APPS = {OURS: REPOSITORY, EMPTY: Path(__file__).parent / "empty_app"}
"""What runs in a worker."""


def measure(session: Session) -> None:
    """Adds milliseconds of a call; a round before the first warms up and does not count."""
    with contestants(session.folder, OURS) as (plain,), ExitStack() as stack:
        plain.start()
        racers = [(PLAIN, plain, psutil.Process(plain.program.pid))]
        for (name, app), port in zip(APPS.items(), free_ports(len(APPS)), strict=True):
            host = FunctionsHost(port=port, log=session.folder / f"{port}.log", app=app)
            stack.callback(host.stop)
            host.start(plain.environment)
            (worker,) = host.workers
            racers.append((name, replace(plain, name=name, port=port, public_port=plain.port), worker))
        tokens = asyncio.run(sign_in(plain, session.options.people))
        for number in range(session.options.rounds + 1):
            session.say(f"round {number} of {session.options.rounds}")
            for name, racer, process in turn(racers, number):
                before = processor_seconds(process)
                asyncio.run(call(racer, tokens, protocol=PROTOCOLS[0], at_once=AT_ONCE, count=session.options.calls))
                seconds = processor_seconds(process) - before
                if number > 0:
                    session.part.add("processor time of a call", name, seconds / session.options.calls * 1000, "ms")
