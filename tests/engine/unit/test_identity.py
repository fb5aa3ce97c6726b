"""Which credential the server uses, and that it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from entra_mcp.identity import azure_credential

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"IDENTITY_ENDPOINT": "http://127.0.0.1:8081/msi/token", "IDENTITY_HEADER": "h"}, ManagedIdentityCredential),
        ({}, DefaultAzureCredential),
    ],
    ids=["in Azure", "on a developer's machine"],
)
async def test_credential_by_platform(
    load_settings: Callable[..., Settings], environment: dict[str, str], kind: type[object]
) -> None:
    async with azure_credential(load_settings(**environment)) as credential:
        assert type(credential) is kind
