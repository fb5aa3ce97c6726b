"""The account of a run that a person reads: plain lines in a pipe, a little colour in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from typing import TextIO


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise what other files raise: rich would end the process from wherever it is, children and all."""
        raise BrokenPipeError


class Account:
    """Writes line by line and at once; never a spinner, never a line that is drawn twice."""

    def __init__(self, *, file: TextIO | None = None) -> None:
        self._console = _Console(file=file, highlight=False, markup=False, emoji=False)

    def heading(self, text: str) -> None:
        self._line("")
        self._line(text, style="bold")

    def line(self, text: str = "", *, style: str = "") -> None:
        self._line(f"  {text}" if text else "", style=style)

    def done(self, what: str, detail: str = "", *, seconds: float | None = None, width: int = 22) -> None:
        """One thing that went well: what it was, what came of it, how long it took."""
        took = "" if seconds is None else f"  ({seconds:.2f} s)"
        self._write(Text.assemble(("  ok  ", "green"), f"{what:<{width}}", detail, (took, "dim")))

    def failed(self, what: str, detail: str) -> None:
        first, *rest = detail.splitlines() or [""]
        self._write(Text.assemble(("  FAILED  ", "bold red"), f"{what}: {first}"))
        self.text("\n".join(rest))

    def text(self, text: str, *, style: str = "") -> None:
        """Lines of somebody else's, a log for example, set off from the account and exactly as they are."""
        for line in text.splitlines():
            self._line(f"      {line}", style=style)

    def progress(self, text: str) -> None:
        self._line(f"        {text}", style="dim")

    def paste(self, text: str) -> None:
        """Lines to copy."""
        self.text(text, style="cyan")

    def _line(self, text: str, *, style: str = "") -> None:
        self._write(Text(text, style=style))

    def _write(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)  # a line to paste must not be broken
        self._console.file.flush()
