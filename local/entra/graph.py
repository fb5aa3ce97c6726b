"""Microsoft Graph's `/v1.0/me`, for tokens that this directory issued for Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from local.entra.graph_access import GraphError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from local.entra.accounts import Account
    from local.entra.graph_access import GraphAccess

READERS = frozenset({"User.Read", "User.ReadBasic.All"})


class Graph:
    """The part of Microsoft Graph that an app asks who the user is."""

    def __init__(self, *, access: GraphAccess) -> None:
        self._access = access

    def routes(self) -> list[Route]:
        return [self._access.route("/v1.0/me", self.me), self._access.route("/oidc/userinfo", self.userinfo)]

    async def me(self, request: Request) -> JSONResponse:
        claims = self._access.claims(request)
        if claims.get("idtyp") == "app":
            raise GraphError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        account = self._access.account(claims)
        if account is None or not READERS & set(str(claims.get("scp", "")).split()):
            message = "Insufficient privileges to complete the operation."
            raise GraphError(403, "Authorization_RequestDenied", message)
        profile = _profile(account)
        if select := request.query_params.get("$select"):
            chosen = {name.strip() for name in select.split(",")}
            profile = {name: value for name, value in profile.items() if name in chosen}
        context = f"https://{self._access.authority}/graph/v1.0/$metadata#users/$entity"
        return JSONResponse({"@odata.context": context, **profile})

    async def userinfo(self, request: Request) -> JSONResponse:
        """The OpenID Connect userinfo endpoint, which the real service has at Graph, too."""
        claims = self._access.claims(request)
        account = self._access.account(claims)
        if account is None:
            raise GraphError(403, "Authorization_RequestDenied", "No such user.")
        given, _, family = account.name.rpartition(" ")
        name = {"name": account.name, "given_name": given, "family_name": family}
        return JSONResponse({"sub": claims["sub"], **name, "email": account.username})


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
