"""What knows OAuth and Entra ID."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from entra_mcp.auth.provider import EntraProvider
from entra_mcp.auth.verifier import EntraTokenVerifier
from entra_mcp.errors import VaultError
from entra_mcp.settings import AuthMode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx2
    from fastmcp.server.auth import AuthProvider
    from key_value.aio.protocols import AsyncKeyValue

    from entra_mcp.settings import Settings
    from entra_mcp.vault import Secrets

__all__ = ["EntraTokenVerifier", "create_verifier", "open_auth"]


def create_verifier(settings: Settings, *, http_client: httpx2.AsyncClient) -> EntraTokenVerifier:
    """Returns what verifies the tokens that Entra ID issues for this server."""
    return EntraTokenVerifier(
        client_id=settings.client_id,
        tenant_id=settings.tenant_id,
        authority=settings.authority,
        identifier_uri=settings.identifier_uri,
        required_scopes=list(settings.required_scopes),
        allowed_tenants=settings.allowed_tenants,
        http_client=http_client,
    )


@asynccontextmanager
async def open_auth(
    settings: Settings, *, secrets: Secrets, storage: AsyncKeyValue, verifier: EntraTokenVerifier
) -> AsyncGenerator[AuthProvider]:
    """Yields the auth provider of the mode: the proxy in front of Entra ID, or verification alone."""
    if settings.auth_mode is AuthMode.VERIFY:
        from fastmcp.server.auth import RemoteAuthProvider
        from pydantic import AnyHttpUrl

        yield RemoteAuthProvider(
            token_verifier=verifier,
            authorization_servers=[AnyHttpUrl(f"https://{settings.authority}/{settings.tenant_id}/v2.0")],
            base_url=settings.base_url,
            resource_name=settings.server_name,
        )
        return
    if secrets.client_secret is None:
        raise VaultError("the proxy needs the client secret, which was not read")
    provider = EntraProvider(
        settings=settings,
        client_secret=secrets.client_secret,
        signing_key=secrets.signing_keys.newest.material,
        storage=storage,
        verifier=verifier,
    )
    try:
        yield provider
    finally:
        await provider.close_obo_credentials()
