"""Runs a module of this repository as a process that says in one line of JSON when it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READY_SECONDS = 100.0
STOP_SECONDS = 20.0


class ProcessFailedError(Exception):
    """A process ended, or said nothing, before it was ready; carries what it wrote to stderr."""


class Program:
    """One `python -m <module>`, which can be ended and started again; what it logs is added to one file."""

    def __init__(self, module: str, *, log: Path) -> None:
        self.log = log
        self._module = module
        self._process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Starts it, waits until it says that it is ready, and returns what it says of itself.

        Raises:
            ProcessFailedError: it ended, or was not ready in time; it does not run any more.
        """
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module, *arguments],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            )
        self._process = process
        assert process.stdout is not None
        line = first_line(process.stdout)
        if not line:
            code = self.kill()
            raise ProcessFailedError(f"{self._module} was not ready (exit code {code}):\n{self.log.read_text('utf-8')}")
        return json.loads(line)["ready"]

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def stop(self) -> int:
        """Ends it with SIGTERM, as a supervisor would; returns the exit code, or 0 when it does not run."""
        return self._end(force=False)

    def kill(self) -> int:
        """Ends it with SIGKILL, as a crash would."""
        return self._end(force=True)

    def _end(self, *, force: bool) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if force:
            process.kill()
        else:
            process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(STOP_SECONDS)
        finally:
            if process.stdout is not None:
                process.stdout.close()


def first_line(stream: IO[str], *, seconds: float = READY_SECONDS) -> str:
    """The first line, or nothing when the process ends or takes too long; then the stream is of no more use."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return lines[0] if lines else ""
