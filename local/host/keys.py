"""Host keys for functions whose auth level asks for one, kept in the app's `.local` folder.

Threat: none that matters on loopback; the keys exist so that an app that will need them in Azure needs them here too.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from pathlib import Path

    from local.host.headers import HeaderList

HEADER = b"x-functions-key"


class HostKeys:
    """Made on first use: most apps never need one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def allow(self, auth_level: str, *, headers: HeaderList, query: bytes) -> bool:
        """`function` takes the default or the master key, `admin` the master key alone."""
        if auth_level == "anonymous":
            return True
        keys = self._read()
        accepted = [keys["master"]] if auth_level == "admin" else [keys["master"], keys["default"]]
        given = _given(headers, query)
        return any(hmac.compare_digest(given, key.encode()) for key in accepted)

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            keys = {"master": secrets.token_urlsafe(32), "default": secrets.token_urlsafe(32)}
            unfinished = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(keys, file)
            unfinished.replace(self._path)
        return cast("dict[str, str]", json.loads(self._path.read_text()))


def _given(headers: HeaderList, query: bytes) -> bytes:
    for name, value in headers:
        if name == HEADER:
            return value
    codes = parse_qs(query.decode("latin-1")).get("code", [""])
    return codes[0].encode("latin-1", "replace")
