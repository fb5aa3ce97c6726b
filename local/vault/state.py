"""The vault's secrets and their versions, in SQLite, so that killing the process loses nothing.

As on the real vault a name is case-insensitive, a version is 32 hexadecimal digits, and the newest version counts.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.database import open_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    sequence INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, version TEXT NOT NULL, value TEXT NOT NULL,
    content_type TEXT, tags TEXT NOT NULL, enabled INTEGER NOT NULL, nbf INTEGER, exp INTEGER,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, UNIQUE (name, version));
CREATE TABLE IF NOT EXISTS deleted (name TEXT PRIMARY KEY COLLATE NOCASE, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seeded (name TEXT PRIMARY KEY);
"""
_COLUMNS = "sequence, name, version, value, content_type, tags, enabled, nbf, exp, created, updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What a caller may set beside the value; times are seconds since the epoch."""

    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One version of a secret; `sequence` orders versions and pages."""

    sequence: int
    name: str
    version: str
    value: str
    properties: Properties
    created: int
    updated: int


class VaultState:
    """One open database; every method is one transaction."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._db = open_database(path, schema=_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def seed(self, name: str, value: str) -> None:
        """Set a secret the first time only, even if it was deleted since."""
        if self._db.execute("SELECT 1 FROM seeded WHERE name = ?", (name,)).fetchone():
            return
        if self.get(name) is None:
            self.set(name, value, Properties())
        self._db.execute("INSERT INTO seeded VALUES (?)", (name,))

    def set(self, name: str, value: str, properties: Properties) -> SecretVersion:
        """Add a version, which is the newest from now on."""
        now, version = int(self._clock()), uuid.uuid4().hex
        tags = json.dumps(properties.tags)
        settable = (properties.content_type, tags, properties.enabled, properties.nbf, properties.exp)
        self._db.execute(
            f"INSERT INTO versions ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
            (name, version, value, *settable, now, now),
        )
        return self._select("name = ? AND version = ?", name, version)[0]

    def get(self, name: str, version: str | None = None) -> SecretVersion | None:
        """One version, or the newest."""
        where = "name = ? AND version = coalesce(?, version) ORDER BY sequence DESC LIMIT 1"
        found = self._select(where, name, version)
        return found[0] if found else None

    def versions(self, name: str, *, after: int, limit: int) -> list[SecretVersion]:
        return self._select("name = ? AND sequence > ? ORDER BY sequence LIMIT ?", name, after, limit)

    def delete(self, name: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO deleted VALUES (?, ?)", (name, int(self._clock())))

    def deleted_at(self, name: str) -> int | None:
        row = self._db.execute("SELECT at FROM deleted WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _select(self, where: str, *values: object) -> list[SecretVersion]:
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM versions WHERE {where}",  # noqa: S608 - every clause is a constant of this module
            values,
        ).fetchall()
        return [
            SecretVersion(
                sequence=row[0],
                name=row[1],
                version=row[2],
                value=row[3],
                properties=Properties(
                    content_type=row[4], tags=json.loads(row[5]), enabled=bool(row[6]), nbf=row[7], exp=row[8]
                ),
                created=row[9],
                updated=row[10],
            )
            for row in rows
        ]
