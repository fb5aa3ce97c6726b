"""Metadata documents: OpenID configuration, signing keys, and the list of authorities MSAL asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.entra.errors import EntraError, RequestIds, error_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from local.entra.shared import Entra
    from local.entra.tenants import TenantPath

_PUBLIC = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=86400, private"}


class Discovery:
    """What anybody may read about the directory."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._host = f"https://{entra.authority}"

    def routes(self) -> list[Route]:
        def route(path: str, document: Callable[[TenantPath], dict[str, Any]]) -> Route:
            async def answer(request: Request) -> JSONResponse:
                try:
                    return JSONResponse(document(self._entra.tenant(request)), headers=_PUBLIC)
                except EntraError as error:
                    failed = error_document(error, authority=self._entra.authority, trace=RequestIds.new())
                    return JSONResponse(failed, status_code=error.status)

            return Route(f"/{{tenant}}{path}", answer)

        return [
            Route("/common/discovery/instance", self.instance),
            route("/v2.0/.well-known/openid-configuration", self.configuration),
            route("/discovery/v2.0/keys", self.jwks),
        ]

    def jwks(self, tenant: TenantPath) -> dict[str, Any]:
        return self._entra.keys.jwks(issuer=self._issuer(tenant))

    async def instance(self, request: Request) -> JSONResponse:
        """Every authority is the only one: this host, without aliases."""
        home, name = f"{self._host}/{self._entra.registration.tenant_id}", self._entra.authority
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"{home}/v2.0/.well-known/openid-configuration",
                "api-version": request.query_params.get("api-version", "1.1"),
                "metadata": [{"preferred_network": name, "preferred_cache": name, "aliases": [name]}],
            },
            headers=_PUBLIC,
        )

    def configuration(self, tenant: TenantPath) -> dict[str, Any]:
        base, graph = f"{self._host}/{tenant.segment}", f"{self._entra.authority}/graph"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": self._issuer(tenant),
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"https://{graph}/oidc/userinfo",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "claims_supported": [
                *("sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "ver", "email"),
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": self._entra.authority,
            "cloud_graph_host_name": graph,
            "msgraph_host": graph,
        }

    def _issuer(self, tenant: TenantPath) -> str:
        """As the real metadata have it: a template where the path has no tenant of its own."""
        return self._entra.issuer(tenant.tenant_id or "{tenantid}", version=2)
