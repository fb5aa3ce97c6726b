"""Passes on what a local host that watches its files says in its log: the app has restarted, or why it has not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from local.host.report import CANNOT_START, NOT_STARTED, RESTARTED

if TYPE_CHECKING:
    from pathlib import Path

    from local.account import Account

PAUSE = 0.2


async def tell_restarts(log: Path, account: Account) -> NoReturn:
    """Report every restart from now on, until cancelled."""
    restarts = Restarts(log, account)
    while True:
        await asyncio.sleep(PAUSE)
        restarts.tell_new()


class Restarts:
    """What a log says of restarts after the moment in which this is made."""

    def __init__(self, log: Path, account: Account) -> None:
        self._log = log
        self._account = account
        self._seen = log.stat().st_size
        self._reasons: list[str] | None = None

    def tell_new(self) -> None:
        """Report what has been added since the last time."""
        for line in self._new_lines():
            if line.startswith(CANNOT_START):
                self._reasons = [line.removeprefix(CANNOT_START)]
            elif line.startswith(NOT_STARTED):
                lines = [line.removeprefix(NOT_STARTED), *(self._reasons or [])[1:]]
                self._account.failed("the app does not start", "\n".join(lines))
                self._reasons = None
            elif line == RESTARTED:
                self._account.done("restarted", "the app runs again")
            elif self._reasons is not None:
                self._reasons.append(line)

    def _new_lines(self) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(self._seen)
            added = log.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._seen += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()
