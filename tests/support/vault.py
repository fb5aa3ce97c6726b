"""Changes the Key Vault stand-in with the real client, as an operator would."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.standins import StandIns


@asynccontextmanager
async def vault_client(standins: StandIns) -> AsyncGenerator[SecretClient]:
    """Yields a client of the vault; the environment has to be that of the stand-ins."""
    async with (
        ManagedIdentityCredential() as credential,
        SecretClient(standins.vault_url, credential, verify_challenge_resource=False) as client,
    ):
        yield client
