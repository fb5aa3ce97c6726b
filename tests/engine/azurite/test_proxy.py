"""Proxies that the environment names are used, and looked for once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entra_mcp.errors import StorageError
from entra_mcp.storage.table import Table

if TYPE_CHECKING:
    from pathlib import Path

STORAGE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;TableEndpoint=http://storage.example.invalid/a;"


async def test_storage_is_reached_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        async with Table.from_connection_string(STORAGE, name="T") as table:
            with pytest.raises(StorageError):
                await table.check()
    assert asked
    assert asked[0].startswith(b"GET http://storage.example.invalid/a/T")


async def test_environment_without_a_proxy_is_not_read_for_each_request(
    azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    read: list[object] = []
    monkeypatch.setattr("aiohttp.client.netrc_from_env", lambda: read.append(1))
    monkeypatch.setattr("aiohttp.client.get_env_proxy_for_url", read.append)
    async with Table.from_connection_string(azurite, name=f"T{tmp_path.name.replace('_', '')[:40]}") as table:
        await table.create()
        assert await table.read("p", "r") is None
    assert read == []
