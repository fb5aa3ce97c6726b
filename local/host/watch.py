"""Notices when the function app's files have changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED = frozenset({".git", ".local", ".venv", "__pycache__", "node_modules", ".pytest_cache", ".ruff_cache"})
SUFFIXES = (".py", ".json")
LOOK_SECONDS = 0.25
PAUSE_SECONDS = 1.0
FAILURES = 3
"""How many looks in a row may fail."""

logger = logging.getLogger(__name__)


async def watch(folder: Path, on_change: Callable[[], None], *, also: Path | None = None) -> None:
    """Call `on_change` after each burst of changes, until cancelled; raises OSError when the folder stays away.

    `also` is a file that may be elsewhere, and need not be there.

    All files are looked at again and again, which takes some milliseconds for this repository. That works on every
    system, and whatever becomes of the folders.
    """
    reported = seen = None
    failures = 0
    while True:
        before = seen
        try:
            seen = await asyncio.to_thread(_states, str(folder), also)
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


def _states(folder: str, also: Path | None) -> dict[str, tuple[int, ...]]:
    """What distinguishes each file from its earlier states."""
    found = _files(folder)
    if also is not None:
        with contextlib.suppress(OSError):
            found[str(also)] = _state(also.stat())
    return found


def _files(folder: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # it is gone by now, or not for this user
                if entry.is_dir():
                    found |= _files(entry.path) if entry.name not in IGNORED and not _leads_back(entry) else {}
                elif entry.name.endswith(SUFFIXES):
                    found[entry.path] = _state(entry.stat())
    return found


def _state(status: os.stat_result) -> tuple[int, ...]:
    """The time of `ctime` is one that nobody can set."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _leads_back(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to a folder that it is in, which has no end."""
    if not entry.is_symlink():
        return False
    return Path(entry.path).parent.resolve().is_relative_to(Path(entry.path).resolve())
