"""Fuzzes for so many minutes, with other requests each time, and reports what it found.

PYTHONPATH=src python -m tests.engine.fuzz --minutes 60 [--seed 1] [--endpoint token]
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from local.loopback.tls import ensure_tls
from tests.engine.fuzz.requests import ENDPOINTS, Request
from tests.support.azurite import running_azurite
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.engine.fuzz.server import Server, Usage

EXAMPLES = 300
"""Between two looks at the clock."""


class Run:
    """One server and what was found on it."""

    def __init__(self, server: Server) -> None:
        self.findings: dict[str, str] = {}
        self.cases = 0
        self._server = server

    def batch(self, endpoint: str, number: int) -> None:
        """Tries some hundred sequences of requests, which the number chooses."""
        from tests.engine.fuzz.rules import check

        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            print_blob=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        )
        @given(st.lists(ENDPOINTS[endpoint], min_size=1, max_size=5))
        def proper(requests: list[Request]) -> None:
            self.cases += 1
            check(self._server, requests)

        try:
            self._server.renew()
            proper()
        except Exception as error:  # noqa: BLE001 - every failure is a finding, and the run goes on
            text = "".join(traceback.format_exception(error))
            key = f"{endpoint}: {str(error).splitlines()[0][:120] if str(error) else type(error).__name__}"
            if key not in self.findings:
                self.findings[key] = text
                say(f"FOUND {key}\n{text}")


def say(text: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def told(usage: Usage) -> str:
    return f"{usage.tasks} tasks, {usage.files} files, {usage.memory / 1024 / 1024:.0f} MB"


def fuzz(server: Server, *, minutes: float, first: int, endpoints: Sequence[str]) -> int:
    """Returns how many different findings there were."""
    run = Run(server)
    number = first
    for endpoint in endpoints:  # what is imported and cached at the first use is no leak
        run.batch(endpoint, number)
    before, began = server.usage(), time.monotonic()
    say(f"seed {first}; {told(before)}")
    ends, told_at = began + minutes * 60, began
    while time.monotonic() < ends:
        number += 1
        run.batch(endpoints[number % len(endpoints)], number)
        if time.monotonic() - told_at > 60:
            told_at = time.monotonic()
            minute = (told_at - began) / 60
            say(f"{minute:5.1f} min: {run.cases} cases, {server.requests} requests, {told(server.usage())}")
    after = server.usage()
    say(f"{run.cases} cases, {server.requests} requests, {len(run.findings)} findings")
    say(f"before: {told(before)}\nafter:  {told(after)}")
    return len(run.findings)


def main() -> int:
    """Reads the arguments and runs; exit code 1 when something was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.engine.fuzz", description="Fuzzes the OAuth and MCP endpoints."
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="repeats a run, as far as times and random tokens allow")
    parser.add_argument("--endpoint", choices=sorted(ENDPOINTS), action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    warnings.simplefilter("default", ResourceWarning)
    logging.disable(logging.WARNING)  # what is refused is written down, which nobody would read here
    logging.basicConfig(stream=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = str(ensure_tls(folder / "tls").bundle)
        os.environ |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle, "NO_PROXY": "localhost,127.0.0.1,::1"}
        running_server = import_module(
            "tests.engine.fuzz.server"
        ).running_server  # aiohttp reads the certificates when imported
        with (
            running_azurite(folder / "azurite") as azurite,
            StandIns(folder=folder / "standins", tls=folder / "tls") as standins,
            running_server(azurite=azurite.connection_string, standins=standins) as server,
        ):
            found = fuzz(
                server,
                minutes=options.minutes,
                first=options.seed if options.seed is not None else random.SystemRandom().randrange(10**6),
                endpoints=options.endpoint or sorted(ENDPOINTS),
            )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
