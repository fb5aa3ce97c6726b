"""The authorization server in front of Entra ID: FastMCP's `AzureProvider`, configured for this server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp.server.auth.providers.azure import AzureProvider

from entra_mcp.auth.redirects import redirect_patterns

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue
    from pydantic import SecretStr

    from entra_mcp.auth.verifier import EntraTokenVerifier
    from entra_mcp.settings import Settings


class EntraProvider(AzureProvider):
    """Registers clients, asks people for consent, and lets Entra ID sign them in."""

    def __init__(
        self,
        *,
        settings: Settings,
        client_secret: SecretStr,
        signing_key: bytes,
        storage: AsyncKeyValue,
        verifier: EntraTokenVerifier,
    ) -> None:
        super().__init__(
            client_id=settings.client_id,
            client_secret=client_secret.get_secret_value(),
            tenant_id=settings.tenant_id,
            required_scopes=list(settings.required_scopes),
            additional_authorize_scopes=list(settings.additional_scopes),
            identifier_uri=settings.identifier_uri,
            base_authority=settings.authority,
            base_url=settings.base_url,
            allowed_client_redirect_uris=redirect_patterns(settings.allowed_redirect_uris),
            client_storage=storage,
            jwt_signing_key=signing_key,
            require_authorization_consent=True,
            enable_cimd=settings.client_metadata_documents,
        )
        # The provider builds a verifier that pins one issuer, which `organizations` and `consumers` do not have.
        self._token_validator = verifier
        if settings.authorization_endpoint is not None:
            self._upstream_authorization_endpoint = settings.authorization_endpoint
