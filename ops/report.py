"""What a command prints: one line a step, at once; findings with their fix."""

from __future__ import annotations

from typing import TextIO

WIDTH = 22


class Report:
    """Writes plain lines, which read the same in a terminal, in a pipe and in azd's log; counts the findings."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.findings = 0

    def heading(self, text: str) -> None:
        self.text(f"\n{text}")

    def step(self, text: str) -> None:
        """Something that is under way, and may take a while."""
        self.text(f"        {text}")

    def ok(self, what: str, detail: str = "") -> None:
        self.text(f"  ok    {what:<{WIDTH}} {detail}".rstrip())

    def note(self, what: str, detail: str) -> None:
        """Something to know, which is no fault; or something that could not be looked at, and why."""
        self.text(f"  note  {what:<{WIDTH}} {_indented(detail)}".rstrip())

    def finding(self, what: str, detail: str, *, remedy: str) -> None:
        """Something that is wrong, and what fixes it: a step a line; a line that begins with `or` is another way."""
        self.findings += 1
        self.text(f"  FOUND {what:<{WIDTH}} {_indented(detail)}")
        self.text(f"        fix: {_indented(remedy, by=13)}")

    def text(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def _indented(text: str, *, by: int = 9 + WIDTH) -> str:
    return f"\n{' ' * by}".join(text.splitlines())
