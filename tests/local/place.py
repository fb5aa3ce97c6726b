"""A home and ports of their own for runs of `python -m local` as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import psutil

from local.app_settings import SAMPLE
from local.config import REPOSITORY, Ports
from tests.support.ports import free_ports
from tests.support.standins import DIRECTORY, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

UP = "Running. Ctrl-C stops everything."


def settings_file(file: Path, **changes: str | None) -> Path:
    """Writes the settings of the sample with these changes; None leaves one out.

    A fork's app may need more than the template's, and has them in its own sample.
    """
    content, own = (json.loads(each.read_text("utf-8")) for each in (SETTINGS, REPOSITORY / SAMPLE))
    values = {**own["Values"], **content["Values"], **changes}
    content["Values"] = {name: value for name, value in values.items() if value is not None}
    file.write_text(json.dumps(content), "utf-8")
    return file


class Place:
    """A home and ports for one test; `start` runs a command there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment: dict[str, str] = {}
        names = [field.name for field in fields(Ports)]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.started: list[subprocess.Popen[str]] = []

    @property
    def flags(self) -> list[str]:
        ports = [part for name, port in self.ports.items() for part in (f"--{name.replace('_', '-')}-port", str(port))]
        return ["--home", str(self.home), "--directory", str(DIRECTORY), *ports]

    def start(self, command: str, *options: str) -> subprocess.Popen[str]:
        sample = settings_file(self.home.with_suffix(".settings.json")) if command == "run" else None
        settings = ["--settings", str(sample)] if sample else []
        process = subprocess.Popen(
            [sys.executable, "-m", "local", command, *self.flags, *settings, *options],
            cwd=REPOSITORY,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def finish(self, command: str, *options: str) -> tuple[int, str]:
        process = self.start(command, *options)
        output, _ = process.communicate(timeout=110)
        return process.returncode, output

    def up(self, command: str, *options: str) -> tuple[subprocess.Popen[str], str, list[int]]:
        """A run that stays up, what it has said until then, and the pids of everything below it."""
        process = self.start(command, *options)
        said: list[str] = []
        for line in process.stdout or ():
            said.append(line)
            if UP in line:
                return (
                    process,
                    "".join(said),
                    [child.pid for child in psutil.Process(process.pid).children(recursive=True)],
                )
        raise AssertionError(f"it ended with {process.wait(60)}:\n{''.join(said)}")

    def pid_of(self, module: str, pids: list[int]) -> int:
        """The service itself, not its guard."""
        named = [pid for pid in pids if psutil.Process(pid).cmdline()[1:3] == ["-m", module]]
        assert len(named) == 1
        return named[0]

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()
