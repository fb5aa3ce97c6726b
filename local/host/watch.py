"""Notices when the function app's files have changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IGNORED = frozenset({".git", ".local", ".venv", "__pycache__", "node_modules", ".pytest_cache", ".ruff_cache"})
SUFFIXES = (".py", ".json")
LOOK_SECONDS = 0.25
PAUSE_SECONDS = 1.0
FAILURES = 3
"""How many looks in a row may fail."""

logger = logging.getLogger(__name__)


async def watch(folder: Path, on_change: Callable[[], None]) -> None:
    """Call `on_change` after each burst of changes, until cancelled; raises OSError when the folder stays away.

    All files are looked at again and again, which takes some milliseconds for this repository. That works on every
    system, and whatever becomes of the folders.
    """
    reported = seen = None
    failures = 0
    while True:
        before = seen
        try:
            seen = await asyncio.to_thread(_files, str(folder))
            failures = 0
        except OSError as error:
            failures += 1
            if failures >= FAILURES:
                raise
            logger.warning("Watching %s failed (%s); trying again in %.0f s.", folder, error, PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        if reported is None:
            reported = seen
        elif seen == before and seen != reported:  # whoever writes has come to an end
            reported = seen
            on_change()
        await asyncio.sleep(LOOK_SECONDS)


def _files(folder: str) -> dict[str, tuple[int, ...]]:
    """What distinguishes each file from its earlier states; the time of `ctime` is one that nobody can set."""
    found: dict[str, tuple[int, ...]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # it is gone by now
                if entry.is_dir():
                    found |= _files(entry.path) if entry.name not in IGNORED else {}
                elif entry.name.endswith(SUFFIXES):
                    status = entry.stat()
                    found[entry.path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found
