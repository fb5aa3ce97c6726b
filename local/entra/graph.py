"""Microsoft Graph's `/v1.0/me`, for tokens that this directory issued for Graph."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.entra.bearer import BearerError, bearer_claims
from local.entra.scopes import GRAPH_APP_ID, GRAPH_URI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.keys import SigningKeys

READERS = frozenset({"User.Read", "User.ReadBasic.All"})


class Graph:
    """The part of Microsoft Graph that an app asks who the user is."""

    def __init__(self, *, authority: str, accounts: Mapping[str, Account], keys: SigningKeys) -> None:
        self._authority = authority
        self._accounts = accounts
        self._keys = keys

    def routes(self) -> list[Route]:
        return [Route("/graph/v1.0/me", self.me), Route("/graph/oidc/userinfo", self.userinfo)]

    async def me(self, request: Request) -> JSONResponse:
        claims = self._claims(request)
        if isinstance(claims, JSONResponse):
            return claims
        if claims.get("idtyp") == "app":
            message = "/me request is only valid with delegated authentication flow."
            return _failed(request, status=400, code="BadRequest", message=message)
        account = self._account(claims)
        if account is None or not READERS & set(str(claims.get("scp", "")).split()):
            message = "Insufficient privileges to complete the operation."
            return _failed(request, status=403, code="Authorization_RequestDenied", message=message)
        profile = _profile(account)
        if select := request.query_params.get("$select"):
            chosen = {name.strip() for name in select.split(",")}
            profile = {name: value for name, value in profile.items() if name in chosen}
        context = f"https://{self._authority}/graph/v1.0/$metadata#users/$entity"
        return JSONResponse({"@odata.context": context, **profile})

    async def userinfo(self, request: Request) -> JSONResponse:
        """The OpenID Connect userinfo endpoint, which the real service has at Graph, too."""
        claims = self._claims(request)
        if isinstance(claims, JSONResponse):
            return claims
        account = self._account(claims)
        if account is None:
            return _failed(request, status=403, code="Authorization_RequestDenied", message="No such user.")
        given, _, family = account.name.rpartition(" ")
        name = {"name": account.name, "given_name": given, "family_name": family}
        return JSONResponse({"sub": claims["sub"], **name, "email": account.username})

    def _claims(self, request: Request) -> dict[str, Any] | JSONResponse:
        try:
            return bearer_claims(request, keys=self._keys, audiences=(GRAPH_APP_ID, GRAPH_URI, f"{GRAPH_URI}/"))
        except BearerError as error:
            return _failed(request, status=401, code="InvalidAuthenticationToken", message=str(error))

    def _account(self, claims: dict[str, Any]) -> Account | None:
        return next((one for one in self._accounts.values() if one.object_id == claims.get("oid")), None)


def _profile(account: Account) -> dict[str, Any]:
    given, _, family = account.name.rpartition(" ")
    return {
        "businessPhones": [],
        "displayName": account.name,
        "givenName": given,
        "jobTitle": account.note if not account.is_personal else None,
        "mail": account.username,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": family,
        "userPrincipalName": account.username,
        "id": account.object_id,
    }


def _failed(request: Request, *, status: int, code: str, message: str) -> JSONResponse:
    request_id = str(uuid.uuid4())
    inner = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": request.headers.get("client-request-id", request_id),
    }
    headers = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="", client_id=""'} if status == 401 else None
    body = {"error": {"code": code, "message": message, "innerError": inner}}
    return JSONResponse(body, status_code=status, headers=headers)
