"""Passes on what a local host that watches its files says in its log: the app has restarted, or why it has not."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from local.host.report import CANNOT_START, NOT_STARTED, RESTARTED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from local.account import Account

PAUSE = 0.2
"""Seconds between two looks into the log."""


async def tell_restarts(log: Path, account: Account) -> None:
    """Report every restart from now on, until cancelled."""
    reasons: list[str] = []
    async for line in _new_lines(log):
        if line.startswith(CANNOT_START):
            reasons = [line]
        elif line.startswith(NOT_STARTED):
            account.failed("the app does not start", "\n".join([line.removeprefix(NOT_STARTED), *reasons[1:]]))
            reasons = []
        elif line == RESTARTED:
            account.done("restarted", "the app runs again")
        elif reasons:
            reasons.append(line)


async def _new_lines(log: Path) -> AsyncGenerator[str]:
    """What is added to the log from now on, line by line, each once it is whole."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        begun = b""
        while True:
            *lines, begun = (begun + file.read()).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", errors="replace").rstrip("\r")
            await asyncio.sleep(PAUSE)
