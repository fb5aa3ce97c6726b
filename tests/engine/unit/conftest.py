"""A clean environment for tests that read settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

from entra_mcp.settings import Settings

TENANT = "0f2b6f2e-1c6b-4c55-9d0f-6a6f3f0d8f10"
CLIENT = "7d1f5bb3-52c6-4f1a-8f5e-0f6f0d7c9a11"

WORKING = {
    "MCP_BASE_URL": "https://mcp.contoso.com",
    "ENTRA_TENANT_ID": TENANT,
    "ENTRA_CLIENT_ID": CLIENT,
    "KEY_VAULT_URL": "https://contoso.vault.azure.net",
    "AzureWebJobsStorage__tableServiceUri": "https://contoso.table.core.windows.net",
}


@pytest.fixture
def load_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Loads settings from a working environment with some variables changed, or removed when None."""

    def load(**changes: str | None) -> Settings:
        for field in Settings.model_fields.values():
            monkeypatch.delenv(str(field.validation_alias), raising=False)
        for name, value in (WORKING | changes).items():
            if value is not None:
                monkeypatch.setenv(name, value)
        return Settings.load()

    return load
