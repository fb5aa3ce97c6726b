"""The authorization server in front of Entra ID: FastMCP's `AzureProvider`, configured for this server."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, override
from urllib.parse import urlencode

from fastmcp.server.auth.providers.azure import AzureProvider
from starlette.requests import Request

from entra_mcp.auth.consent import consent_answer
from entra_mcp.auth.redirects import redirect_patterns
from entra_mcp.auth.upstream import EntraOAuthClient

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue
    from pydantic import SecretStr
    from starlette.responses import HTMLResponse, RedirectResponse

    from entra_mcp.auth.verifier import EntraTokenVerifier
    from entra_mcp.settings import Settings

REFUSED = {
    "error": "access_denied",
    "error_description": "This account may not sign in here. Sign in with another one, or ask the server's owner.",
}


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
        self._client_id = settings.client_id
        self._client_secret = client_secret
        self._refused: ContextVar[bool] = ContextVar("refused", default=False)
        # The provider builds a verifier that pins one issuer, which `organizations` and `consumers` do not have.
        self._token_validator = self._verifier = verifier
        if settings.authorization_endpoint is not None:
            self._upstream_authorization_endpoint = settings.authorization_endpoint

    @override
    def _create_upstream_oauth_client(self) -> EntraOAuthClient:
        return EntraOAuthClient(
            client_id=self._client_id,
            client_secret=self._client_secret,
            verifier=self._verifier,
            on_refusal=self._refuse,
        )

    def _refuse(self) -> None:
        self._refused.set(True)

    @override
    async def _handle_idp_callback(self, request: Request) -> HTMLResponse | RedirectResponse:
        """Brings Entra ID's answer to the client, a refusal of this server included (RFC 6749 section 4.1.2.1)."""
        if (consent := consent_answer(request)) is not None:
            return consent
        response = await super()._handle_idp_callback(request)
        if not self._refused.get():
            return response
        # What the provider does with an error of Entra ID is what this refusal needs too.
        query = urlencode(REFUSED | {"state": request.query_params.get("state", "")}).encode()
        return await super()._handle_idp_callback(Request({**request.scope, "query_string": query}))
