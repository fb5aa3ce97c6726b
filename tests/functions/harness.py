"""Runs the local Functions host in a child process, and gives it back as an address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

REPOSITORY = Path(__file__).resolve().parents[2]
MCP_APP = REPOSITORY / "tests" / "functions" / "apps" / "mcp_app"
START_SECONDS = 60
STOP_SECONDS = 20


@dataclass(kw_only=True)
class RunningHost:
    """A host that has said that it is ready."""

    process: subprocess.Popen[str]
    url: str
    state: str
    log: Path

    @property
    def port(self) -> int:
        return httpx2.URL(self.url).port or 0

    def diagnostics(self) -> dict[str, Any]:
        return httpx2.get(f"{self.url}/diagnostics", timeout=10).json()

    def stop(self) -> int:
        """End it as a supervisor would; returns its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running_host(
    app: Path, *arguments: str, log: Path, environment: dict[str, str] | None = None
) -> Generator[RunningHost]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.host", "--app", str(app), "--port", "0", "--ready-json", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the host ended with {process.wait(STOP_SECONDS)}: {log.read_text()}"
        ready = json.loads(line)["ready"]
        yield RunningHost(process=process, url=ready["url"], state=ready["state"], log=log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout:
            process.stdout.close()


def eventually(condition: Callable[[], bool], *, seconds: float = 10) -> bool:
    """Poll until the condition holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
