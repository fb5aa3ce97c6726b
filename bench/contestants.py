"""The servers that are compared, as programs that can be started, and the services that they need."""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from local.loopback.tls import ensure_tls
from tests.support.azurite import running_azurite
from tests.support.ports import free_ports
from tests.support.programs import Program
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

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

    def start(self, *options: str) -> None:
        """Starts it and waits until it is ready."""
        self.program.start(self.name, "--port", str(self.port), *options, environment=self.environment)


@contextmanager
def contestants(folder: Path, *names: str) -> Generator[tuple[Contestant, ...]]:
    """These servers, not started yet, with Azurite and one stand-in for Entra ID around them."""
    # With the public authorities, as in Azure: to read them is a part of what each client of HTTP costs.
    trust = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(ensure_tls(folder / "tls").bundle))
    os.environ |= trust
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    fernet_key = urlsafe_b64encode(os.urandom(32)).decode()
    callbacks = [f"http://localhost:{port}/auth/callback" for port in ports.values()]
    with (
        running_azurite(folder / "azurite") as azurite,
        StandIns(folder=folder / "standins", tls=folder / "tls", redirect_uris=callbacks) as standins,
    ):
        found = tuple(
            Contestant(
                name=name,
                port=port,
                program=Program("bench.server", log=folder / f"{name}.log"),
                environment={
                    **standins.environment(),
                    **trust,
                    "PYTHONPATH": "src",
                    "PYTHONDONTWRITEBYTECODE": "",
                    "MCP_BASE_URL": f"http://localhost:{port}",
                    STORAGE: azurite.connection_string,
                    "MCP_CREATE_TABLE": "true",
                    "MCP_CALLS_PER_MINUTE": "1000000",
                    "MCP_REGISTRATIONS_PER_MINUTE": "100000",
                    "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100000",
                    "BENCH_CLIENT_SECRET": standins.client_secret,
                    "BENCH_FERNET_KEY": fernet_key,
                },
            )
            for name, port in ports.items()
        )
        try:
            yield found
        finally:
            for contestant in found:
                contestant.program.stop()


@contextmanager
def instances(first: Contestant, count: int) -> Generator[tuple[Contestant, ...]]:
    """So many instances of one server, started, with its address, its table and its keys."""
    others = [
        replace(
            first,
            port=port,
            public_port=first.port,
            program=Program("bench.server", log=first.program.log.with_name(f"{first.name}-{port}.log")),
        )
        for port in free_ports(count - 1)
    ]
    try:
        for each in (first, *others):
            each.start()
        yield (first, *others)
    finally:
        for each in others:
            each.program.stop()


def turn[T](those: Sequence[T], number: int) -> Sequence[T]:
    """In the order of this round; who comes first moves on, so that nobody always follows the same."""
    first = number % len(those)
    return (*those[first:], *those[:first])


def turns[T](those: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Each of them in each round, counted from 1."""
    for number in range(rounds):
        for each in turn(those, number):
            yield number + 1, each
