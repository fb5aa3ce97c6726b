"""The whole local environment as processes: Azurite, the stand-ins and the Functions host with the real app."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from local.host.log import DROPPED
from tests.support.azurite import Azurite
from tests.support.ports import free_ports
from tests.support.processes import wait_until_gone
from tests.support.programs import ForkedProgram
from tests.support.standins import SETTINGS, StandIns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType


TEST_APP = Path(__file__).parent / "app"


class FunctionsHost:
    """The local Functions host with an app, the tests' own unless another is given, on one port over restarts."""

    def __init__(self, *, port: int, log: Path, app: Path = TEST_APP) -> None:
        self.url = f"http://localhost:{port}"
        self._port = port
        self._app = app
        self._program = ForkedProgram("local.host", log=log)

    def start(self, environment: Mapping[str, str]) -> None:
        """Starts it and returns when it serves requests."""
        options = ("--app", str(self._app), "--port", str(self._port), "--settings", str(SETTINGS))
        ready = self._program.start(*options, environment=environment)
        assert ready["state"] == "Running", self.log

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that run the app; none while it does not run."""
        return [] if self._program.pid is None else psutil.Process(self._program.pid).children(recursive=True)

    def kill(self) -> None:
        """Ends it as a crash would, and returns when its worker has gone too."""
        workers = self.workers
        self._program.kill()
        assert wait_until_gone(*(worker.pid for worker in workers)), "the host's worker outlives it"

    def stop(self) -> None:
        """Ends it; fails if it has dropped a line of the log."""
        self._program.stop()
        dropped = (
            [line for line in self.log.splitlines() if line.endswith(DROPPED)] if self._program.log.exists() else []
        )
        assert dropped == []

    @property
    def log(self) -> str:
        return self._program.log.read_text("utf-8")


class Stack:
    """A context manager; everything in it keeps its address and its data over `restart()`."""

    def __init__(
        self,
        folder: Path,
        *,
        certificates: Path,
        app: Path = TEST_APP,
        registration: Sequence[str] = (),
        settings: Callable[[StandIns], Mapping[str, str]] = lambda _: {},
        behind: int = 0,
    ) -> None:
        """`settings` are further ones of the app, once the stand-ins have their addresses.

        One host has the address of the app, or so many `behind` it, to which something else leads.
        """
        self.port, *ports = free_ports(1 + behind)
        self.url = f"http://localhost:{self.port}"
        self.hosts = [
            FunctionsHost(port=port, log=folder / f"host-{port}.log", app=app) for port in ports or [self.port]
        ]
        self.azurite = Azurite(folder / "azurite")
        self.standins = StandIns(
            folder=folder / "standins",
            tls=certificates,
            redirect_uris=[f"{self.url}/auth/callback"],
            registration=registration,
        )
        self._settings = settings

    @property
    def host(self) -> FunctionsHost:
        """The only one."""
        (host,) = self.hosts
        return host

    @property
    def mcp_url(self) -> str:
        return f"{self.url}/mcp"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.standins.environment(),
            "MCP_BASE_URL": self.url,
            "AzureWebJobsStorage": self.azurite.connection_string,
            # Every test's clients come from one address.
            "MCP_REGISTRATIONS_PER_MINUTE": "100000",
            "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100000",
            **self._settings(self.standins),
        }

    def restart(self) -> None:
        """Kills every process, then starts them again; Azurite, which keeps its data in memory, is stopped instead."""
        at_once(host.kill for host in self.hosts)
        self.standins.entra.kill()
        self.standins.vault.kill()
        self.azurite.stop()
        at_once((self.standins.entra.start, self.standins.vault.start, self.azurite.start))
        self._start_hosts()

    def __enter__(self) -> Self:
        self.azurite.start()
        try:
            self.standins.start()
            self._start_hosts()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start_hosts(self) -> None:
        environment = self.environment
        at_once(partial(host.start, environment) for host in self.hosts)

    def _stop(self) -> None:
        at_once(host.stop for host in self.hosts)
        self.standins.stop()
        self.azurite.stop()


def at_once(those: Iterable[Callable[[], object]]) -> None:
    """Calls all of them, and raises what the first of those that fail has raised."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(each) for each in those]:
            done.result()
