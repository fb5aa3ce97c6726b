"""Passes on what a local host that watches its files says in its log: the app has restarted, or why it has not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from local.host.report import CANNOT_START, NOT_READY, NOT_STARTED, RESTARTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from local.account import Account

PAUSE = 0.2
"""Seconds between two looks into the log."""


async def tell_restarts(log: Path, account: Account) -> None:
    """Report a first start that failed and every restart, those that the log has by now too, until cancelled."""
    reasons: list[str] = []
    async for line in _lines(log):
        if line.startswith(CANNOT_START):
            reasons = [line]
        elif line.startswith((NOT_STARTED, NOT_READY)):
            what, _, reason = line.partition(": ")
            account.failed(what, "\n".join([reason, *reasons[1:]]))
            reasons = []
        elif line == RESTARTED:
            account.done("restarted", "the app runs again")
        elif reasons:
            reasons.append(line)


async def _lines(log: Path) -> AsyncGenerator[str]:
    """What is in the log and what is added to it, line by line, each once it is whole."""
    with log.open("rb") as file:
        begun = b""
        while True:
            *lines, begun = (begun + file.read()).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", errors="replace").rstrip("\r")
            await asyncio.sleep(PAUSE)
