"""Changes the Key Vault stand-in with the real client, as an operator would."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, override

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.keyvault.secrets.aio import SecretClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType

    from tests.support.standins import StandIns

RESOURCE = "https://vault.azure.net"


class TokenCredential(AsyncTokenCredential):
    """A credential that gets its tokens from a function, and counts how often it is asked."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token
        self.asked = 0

    @override
    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AccessToken:
        self.asked += 1
        return AccessToken(await asyncio.to_thread(self._token), int(time.time()) + 3600)

    @override
    async def close(self) -> None:
        """There is nothing to close."""

    @override
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """There is nothing to close."""


def operator(standins: StandIns) -> TokenCredential:
    """The credential of Local Admin, who is Key Vault Secrets Officer; the app's own identity may only read."""
    return TokenCredential(lambda: standins.token("admin", aud=RESOURCE))


@asynccontextmanager
async def vault_client(standins: StandIns) -> AsyncGenerator[SecretClient]:
    """Yields an operator's client of the vault; it trusts the certificates of the stand-ins."""
    async with SecretClient(
        standins.vault_url,
        operator(standins),
        verify_challenge_resource=False,
        connection_verify=str(standins.bundle),
        retry_total=0,
    ) as client:
        yield client
