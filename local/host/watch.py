"""Tells when the function app's files have changed."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - one parameter's type

if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED = frozenset({".git", ".local", ".venv", "__pycache__", "node_modules", ".pytest_cache", ".ruff_cache"})
SUFFIXES = (".py", ".json")
SETTLE_MILLISECONDS = 200
PAUSE_SECONDS = 1.0
STABLE_SECONDS = 60.0
"""A watch that lasted so long was none of the failures in a row."""
FAILURES = 3

logger = logging.getLogger(__name__)


async def watch(folder: Path, on_change: Callable[[], None]) -> None:
    """Call `on_change` after each burst of changes, until cancelled; raises what ended the watch again and again."""
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        began = loop.time()
        try:
            await _watch_as_it_is(folder, on_change)
        except (OSError, RuntimeError) as error:  # watchfiles' own faults are RuntimeErrors
            failures = 1 if loop.time() - began > STABLE_SECONDS else failures + 1
            if failures >= FAILURES:
                raise
            logger.warning("Watching %s failed (%s); trying again in %.0f s.", folder, error, PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
            on_change()  # for what happened unseen


async def _watch_as_it_is(folder: Path, on_change: Callable[[], None]) -> None:
    """Watch until a folder comes, goes or is replaced at the top.

    The ignored folders are not watched at all, as they hold most of the files; hence one watch for the top folder
    alone and one for each tree below it that counts. A new tree begins with a change in the top folder.
    """
    changed = asyncio.Event()
    moved = asyncio.Event()
    found = _trees(folder)
    trees = [folder / name for name, _ in found]

    def counts(change: Change, path: str) -> bool:
        if not IGNORED.isdisjoint(Path(os.path.relpath(path, folder)).parts):
            return False
        if change is Change.added and Path(path).is_dir():
            if Path(path).parent == folder:
                moved.set()  # what has been replaced may have the inode of its predecessor
            return True
        return path.endswith(SUFFIXES)

    async def see(*paths: Path, recursive: bool) -> None:
        changes = awatch(
            *paths, watch_filter=counts, debounce=SETTLE_MILLISECONDS, step=50, recursive=recursive, debug=False
        )
        async for _ in changes:
            changed.set()

    watches = [asyncio.create_task(see(folder, recursive=False))]
    if trees:
        watches.append(asyncio.create_task(see(*trees, recursive=True)))
    try:
        while not moved.is_set() and _trees(folder) == found:
            await _either(changed, watches)
            changed.clear()
            on_change()
    finally:
        for task in watches:
            task.cancel()
        await asyncio.wait(watches)


async def _either(changed: asyncio.Event, watches: list[asyncio.Task[None]]) -> None:
    """Wait for the event; raises what a watch has ended with."""
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait((waiting, *watches), return_when=asyncio.FIRST_COMPLETED)
        for task in watches:
            if task.done():
                task.result()
                raise RuntimeError("the watch ended by itself")
    finally:
        waiting.cancel()


def _trees(folder: Path) -> set[tuple[str, int]]:
    """The folders that count, by name and inode: one that has been replaced wants another watch."""
    with os.scandir(folder) as entries:
        return {(entry.name, entry.inode()) for entry in entries if entry.is_dir() and entry.name not in IGNORED}
