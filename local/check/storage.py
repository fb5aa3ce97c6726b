"""Keeps an MCP client's registration and tokens on disk, so that the next run needs no browser.

Threat: the files sign their reader in to the local server; so their folder is open to its owner only, as is each file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)

if TYPE_CHECKING:
    from pathlib import Path


def file_store(folder: Path) -> FileTreeStore:
    """A store in the folder, for one process at a time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )


def is_empty(folder: Path) -> bool:
    """Whether no store has left anything in the folder.

    A store begins with notes of its own, which hold the absolute path: they alone make the folder useless elsewhere.
    """
    return not any(path.is_file() for path in folder.rglob("*"))
