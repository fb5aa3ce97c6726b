"""Settings of a server that could run: what tests change, they change from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.settings import Settings

if TYPE_CHECKING:
    import pytest

TENANT = "0f2b6f2e-1c6b-4c55-9d0f-6a6f3f0d8f10"
CLIENT = "7d1f5bb3-52c6-4f1a-8f5e-0f6f0d7c9a11"

WORKING = {
    "MCP_BASE_URL": "https://mcp.contoso.com",
    "ENTRA_TENANT_ID": TENANT,
    "ENTRA_CLIENT_ID": CLIENT,
    "KEY_VAULT_URL": "https://contoso.vault.azure.net",
    "AzureWebJobsStorage__tableServiceUri": "https://contoso.table.core.windows.net",
}


def working_settings(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Settings:
    """Loads settings from a working environment with some variables changed, or removed when None."""
    for name in Settings.names():
        monkeypatch.delenv(name, raising=False)
    for name, value in (WORKING | changes).items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return Settings.load()
