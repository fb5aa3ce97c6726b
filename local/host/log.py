"""The log lines of the app in this host's own log.

The real host takes a line only while its invocation runs. What comes later is marked here, and counted.
"""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.host.messages import Logged

DROPPED = " [dropped: its invocation has ended]"


class AppLog:
    """Writes lines as they come."""

    def __init__(self) -> None:
        self.dropped = 0
        self._seen: deque[tuple[float, str]] = deque(maxlen=200)

    def add(self, line: Logged, *, running: bool) -> None:
        """`running` is whether the line's invocation does, if it has one."""
        note = ""
        if line.invocation is None:
            self._seen.append((line.time, line.text))
        elif not running:
            self.dropped += 1
            note = DROPPED
        elif (line.time, line.text) in self._seen:
            return  # the app has kept this very line for an invocation, and it is above already
        when = f"{datetime.fromtimestamp(line.time, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
        text = f"{when},{int(line.time % 1 * 1000):03} {line.level} {line.logger}: {line.text}{note}"
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
