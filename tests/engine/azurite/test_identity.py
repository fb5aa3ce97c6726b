"""Table Storage reached with a managed identity over TLS, as in Azure, instead of a connection string."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from entra_mcp.app import open_table
from entra_mcp.errors import StorageError
from entra_mcp.settings import Settings
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.store import TableStore
from entra_mcp.vault.keys import KeyRing, RootKey
from local.azurite import ACCOUNT
from tests.support.azurite import running_azurite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.standins import StandIns


@pytest.fixture(scope="module")
def secure_endpoint(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[str]:
    """Table endpoint of an Azurite that takes tokens of Entra ID."""
    server = str(certificates / "server.pem")
    folder = tmp_path_factory.mktemp("azurite") / "data"
    with running_azurite(folder, "--oauth", "basic", "--cert", server, "--key", server) as azurite:
        yield f"https://127.0.0.1:{azurite.table_port}/{ACCOUNT}"


@pytest.fixture
def settings(standins: StandIns, secure_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    environment = {
        **standins.environment(),
        "MCP_BASE_URL": "http://localhost:7071",
        "AzureWebJobsStorage__tableServiceUri": secure_endpoint,
        "MCP_TABLE_NAME": f"T{uuid4().hex}",
    }
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


async def test_store_works_with_a_managed_identity(settings: Settings) -> None:
    cipher = RowCipher(KeyRing((RootKey(version="1", material=os.urandom(32)),)))
    async with open_table(settings) as table:
        await table.create()
        await table.check()
        store = TableStore(table=table, cipher=cipher)
        await store.put("k", {"a": 1}, collection="c", ttl=60)
        assert await store.get("k", collection="c") == {"a": 1}
        assert await store.delete("k", collection="c") is True


async def test_identity_that_does_not_exist_is_an_error_soon(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage__clientId", "99999999-9999-4999-8999-999999999999")
    async with open_table(Settings.load()) as table:
        with pytest.raises(StorageError, match="Identity found"):
            await table.check()
