"""Runs a client's program in a home of its own, and walks its sign-in when it opens a browser."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import termios
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from tests.engine.compatibility.person import Person, Visit

OPENER = """#!/bin/sh
printf '%s\\n' "$1" >> "$HOME/opened"
"""
"""Stands in for the system's browser: the runner reads the address, and the person walks from there."""

KEPT = ("LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables of this process that a client gets."""

NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses at once: a client's requests to its maker (updates, telemetry, models) end here."""

ESCAPES = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")

WIDTH = 500
"""Columns of a client's terminal: no message is broken into lines."""

MAX_SECONDS = 240
"""How long any program may take; on a machine that does other things too, some need half of it."""


@dataclass(kw_only=True)
class Outcome:
    """How a program ended: what it wrote, and each sign-in that it began in the browser."""

    output: str
    visits: list[Visit] = field(default_factory=list["Visit"])

    @property
    def lines(self) -> list[str]:
        """The lines it wrote, as a person sees them."""
        return [" ".join(line.split()) for line in self.output.replace("\r", "\n").split("\n") if line.strip()]


@dataclass(kw_only=True)
class Home:
    """A client's own home folder; nothing of the user's is read or written."""

    folder: Path
    person: Person
    programs: Sequence[Path]
    """Folders of programs, before the system's."""
    variables: Mapping[str, str]

    def __post_init__(self) -> None:
        self.write("bin/xdg-open", OPENER)
        (self.folder / "bin" / "xdg-open").chmod(0o700)

    def write(self, name: str, text: str) -> None:
        """Writes a file of the client, its configuration for instance."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        path = [str(self.folder / "bin"), *map(str, self.programs), "/usr/local/bin", "/usr/bin", "/bin"]
        proxies = {name: NOWHERE for each in ("HTTP_PROXY", "HTTPS_PROXY") for name in (each, each.lower())}
        loopback = "localhost,127.0.0.1"
        return {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            **proxies,
            "NO_PROXY": loopback,
            "no_proxy": loopback,
            "TERM": "xterm-256color",
            "HOME": str(self.folder),
            "PATH": os.pathsep.join(path),
            "BROWSER": str(self.folder / "bin" / "xdg-open"),
            **self.variables,
        }

    async def run(
        self,
        *command: str,
        labels: Sequence[str] = (),
        typing: Sequence[tuple[str, str]] | None = None,
        until: str | None = None,
        seconds: float = MAX_SECONDS,
    ) -> Outcome:
        """Runs `command`, presses `labels` in each browser that it opens, and returns when it ends.

        Without `labels` the person reads the page, and does nothing.

        With `typing` the program gets a terminal, and each answer there (what to wait for, what to type then). It is
        ended when its output matches `until`, and after so many `seconds`.
        """
        opened = self.folder / "opened"
        opened.unlink(missing_ok=True)
        visits: list[Visit] = []
        async with self.started(*command, typing=typing) as run:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not run.ended and not (until and re.search(until, run.text)):
                        await asyncio.sleep(0.05)
                        addresses = opened.read_text().splitlines() if opened.exists() else []
                        if len(addresses) > len(visits):
                            visits.append(await self.person.walk(addresses[len(visits)], labels))
                            if visits[-1].refused:  # the client would wait for an answer that never comes
                                break
        return Outcome(output=run.text, visits=visits)

    @asynccontextmanager
    async def started(self, *command: str, typing: Sequence[tuple[str, str]] | None = None) -> AsyncGenerator[Running]:
        """The program, for as long as the context lasts; then it is ended with all that it started."""
        run = Running(typing or ())
        await run.start(command, self, terminal=typing is not None)
        try:
            yield run
        finally:
            await run.stop()


class Running:
    """A program that runs, and what it has written."""

    def __init__(self, typing: Sequence[tuple[str, str]]) -> None:
        self.text = ""
        self._typing = list(typing)
        self._seen = 0
        self._raw = b""

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def start(self, command: Sequence[str], home: Home, *, terminal: bool) -> None:
        self._ours, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
        self._process = await asyncio.create_subprocess_exec(
            *command,
            cwd=home.folder,
            env=home.environment,
            stdin=theirs if terminal else asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # the other side of the terminal is closed
            piece = b""
        if not piece:
            asyncio.get_running_loop().remove_reader(self._ours)
            return
        self._raw += piece
        self.text = ESCAPES.sub("", self._raw.decode("utf-8", "replace"))
        if self._typing and re.search(self._typing[0][0], self.text[self._seen :]):
            self._seen = len(self.text)
            asyncio.get_running_loop().call_later(0.5, self._type, self._typing.pop(0)[1])

    def _type(self, keys: str) -> None:
        with suppress(OSError):
            os.write(self._ours, keys[:1].encode())
        if keys[1:]:
            asyncio.get_running_loop().call_later(0.03, self._type, keys[1:])

    async def wrote(self, pattern: re.Pattern[str]) -> str:
        """What it writes that matches; TimeoutError when it does not."""
        async with asyncio.timeout(MAX_SECONDS):
            while (found := pattern.search(self.text)) is None:  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(0.05)
        return found[0]

    async def stop(self) -> None:
        """Ends the program with all that it started."""
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid).children(recursive=True)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in family:  # some have a group of their own
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await self._process.wait()
        # What it wrote last; nothing writes any more.
        os.set_blocking(self._ours, False)
        while asyncio.get_running_loop().remove_reader(self._ours):
            asyncio.get_running_loop().add_reader(self._ours, self._read)
            self._read()
        os.close(self._ours)
