"""The vault's secrets and their versions, in SQLite, so that killing the process loses nothing.

As on the real vault a name is case-insensitive, a version is 32 hexadecimal digits, and the newest version counts.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.database import open_database
from local.vault.documents import Attributes, SecretSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    sequence INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, version TEXT NOT NULL, value TEXT NOT NULL,
    content_type TEXT, tags TEXT NOT NULL, enabled INTEGER NOT NULL, nbf INTEGER, exp INTEGER,
    created INTEGER NOT NULL, updated INTEGER NOT NULL, UNIQUE (name, version));
"""
_COLUMNS = "sequence, name, version, value, content_type, tags, enabled, nbf, exp, created, updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One version of a secret, and what its caller sent; `sequence` orders versions and pages."""

    sequence: int
    name: str
    version: str
    sent: SecretSet
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
        """Set a secret unless it is there."""
        if self.get(name) is None:
            self.set(name, SecretSet(value=value))

    def set(self, name: str, sent: SecretSet) -> SecretVersion:
        """Add a version, which is the newest from now on."""
        now, version = int(self._clock()), uuid.uuid4().hex
        attributes = (sent.attributes.enabled, sent.attributes.nbf, sent.attributes.exp)
        self._db.execute(
            f"INSERT INTO versions ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
            (name, version, sent.value, sent.content_type, json.dumps(sent.tags), *attributes, now, now),
        )
        return self._select("name = ? AND version = ?", name, version)[0]

    def get(self, name: str, version: str | None = None) -> SecretVersion | None:
        """One version, or the newest."""
        where = "name = ? AND version = coalesce(?, version) ORDER BY sequence DESC LIMIT 1"
        found = self._select(where, name, version)
        return found[0] if found else None

    def versions(self, name: str, *, after: int, limit: int) -> list[SecretVersion]:
        return self._select("name = ? AND sequence > ? ORDER BY sequence LIMIT ?", name, after, limit)

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
                sent=SecretSet(
                    value=row[3],
                    contentType=row[4],
                    tags=json.loads(row[5]),
                    attributes=Attributes(enabled=row[6], nbf=row[7], exp=row[8]),
                ),
                created=row[9],
                updated=row[10],
            )
            for row in rows
        ]
