"""Metadata documents: OpenID configuration, signing keys, and the list of authorities MSAL asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.entra.errors import EntraError, RequestIds, error_document

if TYPE_CHECKING:
    from starlette.requests import Request

    from local.entra.keys import SigningKeys
    from local.entra.tenants import TenantPath, Tenants

_PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=86400, private"}


class Discovery:
    """What anybody may read about the directory."""

    def __init__(self, *, authority: str, tenants: Tenants, keys: SigningKeys) -> None:
        self._authority = authority
        self._tenants = tenants
        self._keys = keys

    def routes(self) -> list[Route]:
        return [
            Route("/common/discovery/instance", self.instance),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self.configuration),
            Route("/{tenant}/discovery/v2.0/keys", self.jwks),
        ]

    async def configuration(self, request: Request) -> JSONResponse:
        try:
            tenant = self._tenants.resolve(request.path_params["tenant"])
        except EntraError as error:
            return self._failed(error)
        return JSONResponse(self._document(tenant), headers=_PUBLIC)

    async def jwks(self, request: Request) -> JSONResponse:
        try:
            tenant = self._tenants.resolve(request.path_params["tenant"])
        except EntraError as error:
            return self._failed(error)
        issuer = f"https://{self._authority}/{tenant.issuer_segment}/v2.0"
        return JSONResponse(self._keys.jwks(issuer=issuer), headers=_PUBLIC)

    async def instance(self, request: Request) -> JSONResponse:
        """Every authority is the only one: this host, without aliases."""
        home = f"https://{self._authority}/{self._tenants.home}"
        names = [self._authority]
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"{home}/v2.0/.well-known/openid-configuration",
                "api-version": request.query_params.get("api-version", "1.1"),
                "metadata": [{"preferred_network": names[0], "preferred_cache": names[0], "aliases": names}],
            },
            headers=_PUBLIC,
        )

    def _document(self, tenant: TenantPath) -> dict[str, Any]:
        host = f"https://{self._authority}"
        base = f"{host}/{tenant.segment}"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{host}/{tenant.issuer_segment}/v2.0",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"{host}/graph/oidc/userinfo",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "claims_supported": [
                *("sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "ver", "email"),
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": self._authority,
            "cloud_graph_host_name": f"{self._authority}/graph",
            "msgraph_host": f"{self._authority}/graph",
        }

    def _failed(self, error: EntraError) -> JSONResponse:
        document = error_document(error, authority=self._authority, trace=RequestIds.new())
        return JSONResponse(document, status_code=error.status)
