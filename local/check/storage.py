"""Keeps an MCP client's registration and tokens in one file, so that the next run needs no browser.

Threat: the file signs its reader in to the local server; so it is readable by its owner only, from its first byte.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast, override

from key_value.aio.stores.base import (
    BaseStore,
    ManagedEntry,  # pyright: ignore[reportPrivateImportUsage] - what the hooks of BaseStore pass and return
)

from local.private_file import write_private

if TYPE_CHECKING:
    from pathlib import Path


class FileStore(BaseStore):
    """A key-value store in a JSON file; for one process at a time."""

    def __init__(self, file: Path) -> None:
        super().__init__(stable_api=True)
        self._file = file

    @property
    def is_empty(self) -> bool:
        return not self._read()

    def clear(self) -> None:
        """Forget everything."""
        self._file.unlink(missing_ok=True)

    @override
    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        kept = self._read().get(f"{collection}/{key}")
        return None if kept is None else self._serialization_adapter.load_json(json_str=kept)

    @override
    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        text = self._serialization_adapter.dump_json(entry=managed_entry, key=key, collection=collection)
        self._write({**self._read(), f"{collection}/{key}": text})

    @override
    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        entries = self._read()
        if entries.pop(f"{collection}/{key}", None) is None:
            return False
        self._write(entries)
        return True

    def _read(self) -> dict[str, str]:
        try:
            content: object = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}  # nothing kept, or nothing that can be used: the client signs in again
        return cast("dict[str, str]", content) if isinstance(content, dict) else {}

    def _write(self, entries: dict[str, str]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._file, json.dumps(entries).encode())
