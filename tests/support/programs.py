"""Runs a module of this repository as a process that says in one line of JSON when it is ready."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any, Protocol, override

from local.config import REPOSITORY
from tests.support.forks import CAN_FORK, forks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

READY_SECONDS = 100.0
STOP_SECONDS = 20.0


class ProcessFailedError(Exception):
    """A process ended, or said nothing, before it was ready; carries what it wrote to stderr."""


class Process(Protocol):
    """What runs a program."""

    @property
    def pid(self) -> int | None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        ...


class Program:
    """One `python -m <module>`, which can be ended and started again; what it logs is added to one file."""

    def __init__(self, module: str, *, log: Path) -> None:
        self.log = log
        self._module = module
        self._process: Process | None = None
        self._said: IO[str] | None = None

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Starts it, waits until it says that it is ready, and returns what it says of itself.

        Raises:
            ProcessFailedError: it ended, or was not ready in time; it does not run any more.
        """
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._process, self._said = self._launch(arguments, variables)
        line = _first_line(self._said)
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

    def _launch(self, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[Process, IO[str]]:
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module, *arguments],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=variables,
            )
        assert process.stdout is not None
        return process, process.stdout

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
            if self._said is not None:
                self._said.close()


class ForkedProgram(Program):
    """The same as a fork of a process that has made its imports, where the system can fork.

    What belongs to an interpreter's own start and end, such as its options and what it says when it is torn down, needs
    a `Program`.
    """

    @override
    def _launch(self, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[Process, IO[str]]:
        if not CAN_FORK:
            return super()._launch(arguments, variables)
        self.log.open("a").close()
        heard, said = forks().Pipe(duplex=False)
        begun = (self._module, arguments, dict(variables), said, str(self.log.absolute()))
        # A daemon, since this process would else wait at its end for one that nobody has stopped.
        process = forks().Process(target=run_as_main, args=begun, daemon=True)
        try:
            process.start()
        except EOFError as error:
            raise ProcessFailedError(
                "the fork server did not start: import what tests/support/forks.py names"
            ) from error
        said.close()
        # A copy of the descriptor, because `heard` closes its own with the end of this function.
        return _Fork(process), os.fdopen(os.dup(heard.fileno()), encoding="utf-8")


class _Fork:
    """A fork, as `subprocess.Popen` shows one."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def terminate(self) -> None:
        if self._process.exitcode is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process.exitcode is None:
            self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code


def run_as_main(
    module: str, arguments: Sequence[str], variables: Mapping[str, str], said: Connection, log: str
) -> None:
    """Turns this process into what `python -m <module>` starts."""
    main = sys.modules[f"{module}.__main__"].main  # the fork server has imported it
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(REPOSITORY)
    os.dup2(said.fileno(), 1)
    said.close()
    with open(log, "ab") as file:  # noqa: PTH123 - no path is needed
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(write_through=True)
    sys.argv = [module, *arguments]
    sys.exit(main())


def _first_line(stream: IO[str]) -> str:
    """The first line, or nothing when the process ends or takes too long; then the stream is of no more use."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(READY_SECONDS)
    return lines[0] if lines else ""
