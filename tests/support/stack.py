"""The whole local environment as processes: Azurite, the stand-ins and the Functions host with the real app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from local.config import REPOSITORY
from tests.support.azurite import Azurite
from tests.support.ports import free_ports
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

STOP_SECONDS = 20


class FunctionsHost:
    """The local Functions host with this repository's app, on one port over restarts."""

    def __init__(self, *, port: int, log: Path) -> None:
        self.url = f"http://localhost:{port}"
        self._port = port
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Starts it and returns when it serves requests."""
        settings = REPOSITORY / "local.settings.sample.json"
        command = [sys.executable, "-m", "local.host", "--app", str(REPOSITORY), "--port", str(self._port)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--settings", str(settings), "--ready-json"],
                cwd=REPOSITORY,
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the host did not start:\n{self.log}"
        assert json.loads(line)["ready"]["state"] == "Running", self.log

    def kill(self) -> None:
        """Ends it as a crash would."""
        self._end(force=True)

    def stop(self) -> None:
        self._end(force=False)

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def _end(self, *, force: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if force:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()


class Stack:
    """A context manager; everything in it keeps its address and its data over `restart()`."""

    def __init__(self, folder: Path, *, certificates: Path) -> None:
        (port,) = free_ports(1)
        self.host = FunctionsHost(port=port, log=folder / "host.log")
        self.azurite = Azurite(folder / "azurite")
        self.standins = StandIns(
            folder=folder / "standins", tls=certificates, redirect_uris=[f"{self.host.url}/auth/callback"]
        )

    @property
    def url(self) -> str:
        return self.host.url

    @property
    def mcp_url(self) -> str:
        return f"{self.url}/mcp"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.standins.environment(),
            "MCP_BASE_URL": self.url,
            "AzureWebJobsStorage": self.azurite.connection_string,
        }

    def restart(self) -> None:
        """Kills every process and starts it again; Azurite, which keeps its data in memory, is stopped instead."""
        self.host.kill()
        with ThreadPoolExecutor() as pool:
            restarts = (self.standins.entra.restart, self.standins.vault.restart, self._restart_azurite)
            for restarted in [pool.submit(restart) for restart in restarts]:
                restarted.result()
        self.host.start(self.environment)

    def __enter__(self) -> Self:
        self.azurite.start()
        try:
            self.standins.start()
            self.host.start(self.environment)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _restart_azurite(self) -> None:
        self.azurite.stop()
        self.azurite.start()

    def _stop(self) -> None:
        self.host.stop()
        self.standins.stop()
        self.azurite.stop()
