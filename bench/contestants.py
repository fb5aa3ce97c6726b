"""The servers that are compared, as programs that can be started, and what a part is measured with."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from local.loopback.tls import ensure_tls
from tests.support.azurite import running_azurite
from tests.support.ports import free_ports
from tests.support.programs import Program
from tests.support.standins import StandIns

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from bench.figures import Part

OURS = "this server"
NO_AUTH = "no auth"
MEMORY = "stock on memory"
TABLES = "stock on tables"
FUNCTIONS = "stock in AsgiFunctionApp"
ALL = (NO_AUTH, MEMORY, TABLES, FUNCTIONS, OURS)

STORAGE = "AzureWebJobsStorage"


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One server: where it will listen, and how it is started."""

    name: str
    port: int
    program: Program
    environment: Mapping[str, str] = field(repr=False)
    public_port: int | None = None
    """The port in the address that all instances of a server share; its own unless it is one of several."""

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def host(self) -> str:
        """What clients send as `Host`."""
        return f"localhost:{self.public_port or self.port}"

    @property
    def process(self) -> psutil.Process:
        """What runs it, once it was started."""
        return psutil.Process(self.program.pid)

    async def start(self) -> None:
        """Starts it and waits until it is ready, in a thread: what leads to its storage may be in this process."""
        options = (self.name, "--port", str(self.port))
        await asyncio.to_thread(self.program.start, *options, environment=self.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The measurement of one part."""

    name: str
    options: argparse.Namespace
    part: Part
    """Gets what is measured."""
    folder: Path
    """Gone afterwards."""
    storage: str
    """Connection string of an Azurite."""
    racers: Sequence[Contestant]
    """The servers that the part's module names in `SERVERS`, not started yet."""
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Says what is being measured on stderr, with the seconds since the part began."""
        sys.stderr.write(f"{self.name} {time.monotonic() - self.began:5.0f} s  {text}\n")
        sys.stderr.flush()


@contextmanager
def prepared(name: str, options: argparse.Namespace, part: Part, servers: Sequence[str]) -> Generator[Session]:
    """Yields what a part is measured with; the servers that it has started are ended."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        # With the public authorities, as in Azure: to read them is a part of what each client of HTTP costs.
        trust = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(ensure_tls(folder / "tls").bundle))
        os.environ |= trust
        ports = {server: free_ports(1)[0] for server in servers}
        callbacks = [f"http://localhost:{port}/auth/callback" for port in ports.values()]
        storage = stack.enter_context(running_azurite(folder / "azurite")).connection_string
        standins = stack.enter_context(
            StandIns(folder=folder / "standins", tls=folder / "tls", redirect_uris=callbacks)
        )
        racers: list[Contestant] = []
        for server, port in ports.items():
            program = Program("bench.server", log=folder / f"{server}.log")
            stack.callback(program.stop)
            environment = {
                **standins.environment(),
                **trust,
                "PYTHONPATH": "src",
                "PYTHONDONTWRITEBYTECODE": "",
                "MCP_BASE_URL": f"http://localhost:{port}",
                STORAGE: storage,
                "MCP_CREATE_TABLE": "true",
                "MCP_CALLS_PER_MINUTE": "1000000",
                "MCP_REGISTRATIONS_PER_MINUTE": "100000",
                "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100000",
                "BENCH_CLIENT_SECRET": standins.client_secret,
            }
            racers.append(Contestant(name=server, port=port, program=program, environment=environment))
        yield Session(name=name, options=options, part=part, folder=folder, storage=storage, racers=racers)


def turn[T](those: Sequence[T], number: int) -> Sequence[T]:
    """In the order of this round; who comes first moves on, so that nobody always follows the same."""
    first = number % len(those)
    return (*those[first:], *those[:first])


def turns[T](those: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Each of them in each round, counted from 1."""
    for number in range(rounds):
        for each in turn(those, number):
            yield number + 1, each
