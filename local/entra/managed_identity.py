"""The managed identity endpoint of App Service and Functions, protocol version 2019-08-01.

Threat: any page or program on the machine could ask for a token; the X-IDENTITY-HEADER value, which a web page cannot
send across origins, keeps pages out. Source: https://learn.microsoft.com/azure/app-service/overview-managed-identity
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.config import IDENTITY_HEADER
from local.entra.errors import EntraError
from local.entra.registration import TOKEN_EXCHANGE_AUDIENCE
from local.entra.tokens import identity_claims

if TYPE_CHECKING:
    from starlette.requests import Request

    from local.entra.shared import Entra

API_VERSION = "2019-08-01"


class ManagedIdentityEndpoint:
    """GET /msi/token?api-version=2019-08-01&resource=...&client_id=..."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra

    def routes(self) -> list[Route]:
        return [Route("/msi/token", self.get)]

    async def get(self, request: Request) -> JSONResponse:
        query = request.query_params
        presented = request.headers.get("x-identity-header", "")
        if not hmac.compare_digest(presented.encode(), IDENTITY_HEADER.encode()):
            return _failed(401, "The X-IDENTITY-HEADER value does not match IDENTITY_HEADER.")
        if query.get("api-version") != API_VERSION:
            return _failed(400, f"The api-version must be {API_VERSION}.")
        if not self._is_assigned(request):
            message = (
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            )
            return _failed(400, message)
        resource = query.get("resource", "")
        if resource != TOKEN_EXCHANGE_AUDIENCE:
            try:
                self._entra.scopes.resource(resource)
            except EntraError as error:
                return _failed(400, error.message)
        claims = identity_claims(self._entra, audience=resource)
        return JSONResponse(
            {
                "access_token": self._entra.keys.sign(claims),
                "expires_on": str(claims["exp"]),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": self._entra.identity.client_id,
            },
            headers={"Cache-Control": "no-store"},
        )

    def _is_assigned(self, request: Request) -> bool:
        """Every id that is given must be the identity's, and one must be: none at all asks for a system-assigned one,
        which this app has not (https://github.com/Azure/azure-functions-host/issues/8037).
        """
        identity = self._entra.identity
        expected = {
            "client_id": identity.client_id,
            "principal_id": identity.principal_id,
            "object_id": identity.principal_id,
            "mi_res_id": identity.resource_id,
        }
        given = {name: request.query_params[name] for name in expected if name in request.query_params}
        return bool(given) and all(value.lower() == expected[name].lower() for name, value in given.items())


def _failed(status: int, message: str) -> JSONResponse:
    return JSONResponse({"statusCode": status, "message": message, "correlationId": ""}, status_code=status)
