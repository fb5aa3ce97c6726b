"""The programs that a deployment needs on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ops.attempt import FoundError, Note, attempt, expect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.report import Report

SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program, from which version it will do, and how it comes here."""

    name: str
    arguments: tuple[str, ...]
    minimum: tuple[int, ...]
    why: str
    install: str
    optional: bool = False


TOOLS = (
    Tool(
        name="azd",
        arguments=("version",),
        minimum=(1, 23, 15),
        why="it runs hooks that are written in Python",
        install="https://aka.ms/azd-install, or: winget install microsoft.azd, brew install azure/azd/azd, "
        "curl -fsSL https://aka.ms/install-azd.sh | bash",
    ),
    Tool(
        name="az",
        arguments=("version", "--output", "json"),
        minimum=(2, 60),
        why="the commands that fix findings use it",
        install="https://aka.ms/azure-cli, or: winget install Microsoft.AzureCLI, brew install azure-cli",
        optional=True,
    ),
    Tool(
        name="bicep",
        arguments=("--version",),
        minimum=(0, 38, 3),
        why="@onlyIfNotExists() needs it; azd brings its own",
        install="az bicep upgrade, or: azd config unset bicep (azd then installs the newest)",
        optional=True,
    ),
)


def check(report: Report, *, environment: Mapping[str, str]) -> None:
    """Looks at each tool's version."""
    # `ops/__main__.py` refused every other Python.
    report.ok("python", _dotted(sys.version_info[:2]))
    for tool in TOOLS:
        attempt(report, tool.name, partial(_check, tool, environment))


def _check(tool: Tool, environment: Mapping[str, str]) -> str:
    path = shutil.which(tool.name, path=environment.get("PATH"))
    if path is None and tool.optional:
        return Note(f"is not installed; {tool.why}")
    if path is None:
        raise FoundError(f"is not installed; {tool.why}", remedy=tool.install)
    version = _version([path, *tool.arguments], environment=environment)
    if version is None:
        raise FoundError(f"`{tool.name} {' '.join(tool.arguments)}` does not work", remedy=tool.install)
    old = f"{_dotted(version)} is older than {_dotted(tool.minimum)}; {tool.why}"
    if version < tool.minimum and tool.optional:
        return Note(f"{old}\nupdate it: {tool.install}")
    expect(version >= tool.minimum, old, remedy=tool.install)
    return _dotted(version)


def _version(command: Sequence[str], *, environment: Mapping[str, str]) -> tuple[int, ...] | None:
    try:
        result = subprocess.run(  # noqa: S603 - the tools of this table, found on PATH
            command, capture_output=True, text=True, timeout=SECONDS, check=False, env=dict(environment)
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", result.stdout)
    return tuple(int(part) for part in found.groups()) if found and result.returncode == 0 else None


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)
