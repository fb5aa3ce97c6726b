"""Asks a service on loopback whether it is ready; plain sockets, so that no proxy setting gets in the way."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def answers(*urls: str, status: int | None = 200, ca: Path | None = None) -> Callable[[], Awaitable[bool]]:
    """A readiness check: whether every URL answers with `status` (None: with anything that is HTTP)."""

    async def check() -> bool:
        found = [await status_of(url, ca=ca) for url in urls]
        return all(one == status if status is not None else one > 0 for one in found)

    return check


async def status_of(url: str, *, ca: Path | None = None) -> int:
    """The status code of a GET; 0 when what answered was not HTTP. OSError when nothing answered."""
    address = urlsplit(url)
    secure = ssl.create_default_context(cafile=ca) if address.scheme == "https" else None
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=secure)
    try:
        writer.write(f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
    finally:
        writer.close()
    words = line.split()
    return int(words[1]) if len(words) > 1 and line.startswith(b"HTTP/") and words[1].isdigit() else 0
