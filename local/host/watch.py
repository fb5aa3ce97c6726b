"""Tells when the function app's files have changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - one parameter's type

if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED = frozenset({".git", ".local", ".venv", "__pycache__", "node_modules", ".pytest_cache", ".ruff_cache"})
SUFFIXES = (".py", ".json")
SETTLE_MILLISECONDS = 200


async def watch(folder: Path, on_change: Callable[[], None]) -> None:
    """Call `on_change` after each burst of changes, until cancelled.

    The ignored folders are not watched at all, as they hold most of the files; hence one watch for the top folder
    alone and one for each tree below it that counts. A new tree begins with a change in the top folder.
    """
    while True:
        changed = asyncio.Event()
        trees = _trees(folder)
        watches = [asyncio.create_task(_watch(changed, folder, recursive=False))]
        if trees:
            watches.append(asyncio.create_task(_watch(changed, *trees, recursive=True)))
        try:
            while _trees(folder) == trees:
                await changed.wait()
                changed.clear()
                on_change()
        finally:
            for task in watches:
                task.cancel()
            await asyncio.wait(watches)


def _trees(folder: Path) -> set[Path]:
    return {child for child in folder.iterdir() if child.is_dir() and child.name not in IGNORED}


async def _watch(changed: asyncio.Event, *paths: Path, recursive: bool) -> None:
    async for _ in awatch(
        *paths, watch_filter=_counts, debounce=SETTLE_MILLISECONDS, step=50, recursive=recursive, debug=False
    ):
        changed.set()


def _counts(change: Change, path: str) -> bool:
    if not IGNORED.isdisjoint(Path(path).parts):
        return False
    return path.endswith(SUFFIXES) or (change is Change.added and Path(path).is_dir())
