"""Opens the databases in which the stand-ins keep what must outlive them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_database(path: Path, *, schema: str) -> sqlite3.Connection:
    """A database of its owner's alone, made if it is not there; no statement begins a transaction by itself."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    database = sqlite3.connect(path, autocommit=True)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut may
    database.executescript(schema)
    return database
