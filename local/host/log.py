"""Where the log lines of the app go: to this host's own log, and to Application Insights as the real host sends them.

The real host takes a line only while its invocation runs. What comes later is dropped here too, and counted.
"""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.host.application_insights import ApplicationInsights
    from local.host.messages import Logged
    from local.host.process import Invocation

DROPPED = " [dropped: its invocation has ended]"


class AppLog:
    """Writes lines as they come; `telemetry` is None where nobody collects any."""

    def __init__(self) -> None:
        self.dropped = 0
        self.telemetry: ApplicationInsights | None = None
        self._seen: deque[tuple[float, str]] = deque(maxlen=200)

    def add(self, line: Logged, invocation: Invocation | None) -> None:
        """`invocation` is the line's, while that runs."""
        note = ""
        if invocation is not None:
            if self.telemetry is not None:
                self.telemetry.user_line(line, invocation)
            if (line.time, line.text) in self._seen:
                return  # the app has kept this very line for an invocation, and it is above already
        elif line.invocation is None:
            self._seen.append((line.time, line.text))
        else:
            self.dropped += 1
            note = DROPPED
        when = f"{datetime.fromtimestamp(line.time, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
        text = f"{when},{int(line.time % 1 * 1000):03} {line.level} {line.logger}: {line.text}{note}"
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the person at the terminal
