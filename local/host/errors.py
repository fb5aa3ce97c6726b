"""What can be wrong with the input of the local host, in words with which a person can put it right."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from local.host.report import CANNOT_START, own_frames

if TYPE_CHECKING:
    from pathlib import Path


class HostError(Exception):
    """Anything that keeps the host from starting; `exit_code` is what the process should end with."""

    exit_code: ClassVar[int] = 2


class SettingsFileError(HostError):
    """A settings file cannot be used as it is."""

    def __init__(self, path: Path, problem: str, *, line: int | None = None) -> None:
        where = f"{path.name}, line {line}" if line else path.name
        super().__init__(f"{where}: {problem}")


class UnsupportedError(HostError):
    """The app uses something of Azure Functions that this host does not have."""


class AppBrokenError(HostError):
    """The app cannot be indexed. The text is for the person at the terminal; `reason` is the line that says most."""

    exit_code = 1

    def __init__(self, message: str, *, stack: str = "") -> None:
        super().__init__(f"{CANNOT_START}{message}\n{own_frames(stack)}".rstrip())
        self.message = message
        self.reason = (stack.strip() or message).splitlines()[-1].strip()
