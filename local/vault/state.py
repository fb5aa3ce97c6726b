"""The vault's secrets and their versions, in SQLite, so that killing the process loses nothing.

As on the real vault a name is case-insensitive, a version is 32 hexadecimal digits, and the newest version counts.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.private_file import open_database
from local.vault.documents import SecretSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
    sequence INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, version TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL, sent TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One version of a secret, and what its caller sent; `sequence` orders versions and pages."""

    sequence: int
    name: str
    version: str
    created: int
    sent: SecretSet


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
        version = uuid.uuid4().hex
        self._db.execute(
            "INSERT INTO secrets (name, version, created, sent) VALUES (?, ?, ?, ?)",
            (name, version, int(self._clock()), sent.model_dump_json(by_alias=True)),
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
            f"SELECT sequence, name, version, created, sent FROM secrets WHERE {where}",  # noqa: S608 - `where` is ours
            values,
        )
        return [
            SecretVersion(
                sequence=sequence,
                name=name,
                version=version,
                created=created,
                sent=SecretSet.model_validate_json(sent),
            )
            for sequence, name, version, created, sent in rows
        ]
