"""Files that only their owner may read."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Give `path` this content at once, with mode 0600 from its first byte; a reader never sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def open_database(path: Path, *, schema: str) -> sqlite3.Connection:
    """A database, made if it is not there, for what a stand-in keeps; no statement begins a transaction by itself."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    database = sqlite3.connect(path, autocommit=True)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut may
    database.executescript(schema)
    return database
