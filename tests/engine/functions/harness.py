"""Runs the local Functions host in a child process, and gives it back as an address."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from local.config import REPOSITORY
from local.host.log import DROPPED
from tests.support.processes import PATIENCE
from tests.support.programs import ForkedProgram, Program

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MCP_APP = REPOSITORY / "tests" / "engine" / "functions" / "apps" / "mcp_app"


@dataclass(kw_only=True)
class RunningHost:
    """A host that has said that it is ready."""

    program: Program
    url: str
    state: str
    dropped_lines: int = 0
    """How many lines of the log a test drops on purpose."""

    @property
    def port(self) -> int:
        return httpx2.URL(self.url).port or 0

    @property
    def log(self) -> Path:
        return self.program.log

    def get(self, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        options.setdefault("timeout", PATIENCE)
        return httpx2.request(method, f"{self.url}{path}", **options)

    def diagnostics(self) -> dict[str, Any]:
        return self.get("/diagnostics").json()

    def stop(self) -> int:
        """End it as a supervisor would; returns its exit code."""
        return self.program.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.program.kill()


@contextmanager
def running_host(
    app: Path,
    *arguments: str,
    log: Path,
    environment: dict[str, str] | None = None,
    dropped_lines: int = 0,
    program: type[Program] = ForkedProgram,
) -> Generator[RunningHost]:
    """Fails at its end if the host has dropped another number of log lines."""
    host = program("local.host", log=log)
    ready = host.start("--app", str(app), "--port", "0", *arguments, environment=environment)
    running = RunningHost(program=host, url=ready["url"], state=ready["state"], dropped_lines=dropped_lines)
    try:
        yield running
    finally:
        host.stop()
    assert log.read_text("utf-8").count(f"{DROPPED}\n") == running.dropped_lines, log.read_text("utf-8")
