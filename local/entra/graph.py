"""Microsoft Graph's `/v1.0/me` and calendar view, and the userinfo endpoint, for tokens of this directory for Graph.

Errors: https://learn.microsoft.com/graph/errors; challenges of continuous access evaluation:
https://learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.directory import GRAPH
from local.entra.calendar import calendar_page
from local.entra.protected import ApiError, bearer_claims, scopes_of
from local.entra.scopes import GRAPH_APP_ID, GRAPH_URI
from local.entra.state import ApiFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.shared import Entra

FAULT_CODES = {429: "TooManyRequests", 503: "ServiceUnavailable", 504: "GatewayTimeout"}
PROFILE_READERS = frozenset({"User.Read", "User.ReadBasic.All"})
CALENDAR_READERS = frozenset({"Calendars.Read"})


class Graph:
    """The part of Microsoft Graph that an app asks who the user is, and what is in the calendar."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra
        self._base = f"https://{entra.authority}/graph/v1.0"

    def routes(self) -> list[Route]:
        def route(path: str, handler: Callable[[Request, dict[str, Any]], Awaitable[JSONResponse]]) -> Route:
            async def answer(request: Request) -> JSONResponse:
                try:
                    self._fail_if_asked()
                    return await handler(request, self._claims(request))
                except ApiError as error:
                    return _answer(request, error)

            return Route(f"/graph{path}", answer)

        return [
            route("/v1.0/me", self.me),
            route("/v1.0/me/calendarView", self.calendar_view),
            route("/oidc/userinfo", self.userinfo),
        ]

    async def me(self, request: Request, claims: dict[str, Any]) -> JSONResponse:
        if claims.get("idtyp") == "app":
            raise ApiError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        account = self._entra.account_of(claims)
        if account is None or not PROFILE_READERS & scopes_of(claims):
            message = "Insufficient privileges to complete the operation."
            raise ApiError(403, "Authorization_RequestDenied", message)
        context = f"{self._base}/$metadata#users/$entity"
        return JSONResponse({"@odata.context": context, **_selected(_profile(account), request)})

    async def calendar_view(self, request: Request, claims: dict[str, Any]) -> JSONResponse:
        account = self._entra.account_of(claims)
        if account is None or not CALENDAR_READERS & scopes_of(claims):
            raise ApiError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        events, following = calendar_page(account, request.query_params)
        body: dict[str, Any] = {
            "@odata.context": f"{self._base}/$metadata#users('{account.object_id}')/calendarView",
            "value": [_selected(event, request, always=("@odata.etag", "id")) for event in events],
        }
        if following is not None:
            query = urlencode({**request.query_params, "$skip": str(following)})
            body["@odata.nextLink"] = f"{self._base}/me/calendarView?{query}"
        return JSONResponse(body)

    async def userinfo(self, _request: Request, claims: dict[str, Any]) -> JSONResponse:
        """The OpenID Connect userinfo endpoint, which the real service has at Graph, too."""
        account = self._entra.account_of(claims)
        if account is None:
            raise ApiError(403, "Authorization_RequestDenied", "No such user.")
        given, _, family = account.name.rpartition(" ")
        name = {"name": account.name, "given_name": given, "family_name": family}
        return JSONResponse({"sub": claims["sub"], **name, "email": account.username})

    def _claims(self, request: Request) -> dict[str, Any]:
        """Claims of the request's token; ApiError when Graph would not take it."""
        audiences = (GRAPH_APP_ID, GRAPH_URI, f"{GRAPH_URI}/")
        claims = bearer_claims(request, keys=self._entra.keys, audiences=audiences, refused=_unauthorized)
        account = self._entra.account_of(claims)
        if account is not None and "cp1" in claims.get("xms_cc", ()):
            valid_from = self._entra.state.valid_from(account.key)
            if claims["iat"] < valid_from:
                raise self._challenge(valid_from)
        return claims

    def _fail_if_asked(self) -> None:
        fault = self._entra.state.take_fault(ApiFault, api=GRAPH)
        if fault is None:
            return
        if fault.challenge:
            raise self._challenge(0)
        code = FAULT_CODES.get(fault.status, "UnknownError")
        raise ApiError(fault.status, code, "Asked for through the control API.", headers=fault.headers)

    def _challenge(self, not_before: float) -> ApiError:
        demanded = {"access_token": {"nbf": {"essential": True, "value": str(int(not_before))}}}
        encoded = base64.b64encode(json.dumps(demanded).encode()).decode()
        authorization = f"https://{self._entra.authority}/common/oauth2/authorize"
        challenge = (
            f'Bearer realm="", authorization_uri="{authorization}", client_id="{GRAPH_APP_ID}", '
            f'error="insufficient_claims", claims="{encoded}"'
        )
        message = (
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
            "TokenIssuedBeforeRevocationTimestamp"
        )
        return ApiError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})


def _unauthorized(message: str) -> ApiError:
    challenge = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="", client_id=""'}
    return ApiError(401, "InvalidAuthenticationToken", message, headers=challenge)


def _answer(request: Request, error: ApiError) -> JSONResponse:
    request_id = str(uuid.uuid4())
    inner = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": request.headers.get("client-request-id", request_id),
    }
    body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
    return JSONResponse(body, status_code=error.status, headers={"request-id": request_id, **error.headers})


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


def _selected(entity: Mapping[str, Any], request: Request, *, always: Iterable[str] = ()) -> dict[str, Any]:
    """The properties that `$select` names, or all."""
    select = request.query_params.get("$select")
    if not select:
        return dict(entity)
    chosen = {*always, *(name.strip() for name in select.split(","))}
    return {name: value for name, value in entity.items() if name in chosen}
