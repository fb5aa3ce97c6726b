"""What the check reports while it runs, and how it fails."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Somebody who listens; the account of `make run` is one."""

    def done(self, what: str, detail: str = "", *, seconds: float | None = None) -> None:
        """A step that went well."""

    def progress(self, text: str) -> None:
        """Something that happens within a step."""


class CheckFailedError(Exception):
    """A step of the check failed; carries its name and the reason."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
