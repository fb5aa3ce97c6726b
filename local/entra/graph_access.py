"""What every request to the Microsoft Graph stand-in goes through: its token, its faults, and how Graph refuses.

Errors: https://learn.microsoft.com/graph/errors; challenges of continuous access evaluation:
https://learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from local.directory import GRAPH
from local.entra.bearer import BearerError, bearer_claims
from local.entra.scopes import GRAPH_APP_ID, GRAPH_URI
from local.entra.state import ApiFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.keys import SigningKeys
    from local.entra.state import State

FAULT_CODES = {429: "TooManyRequests", 503: "ServiceUnavailable", 504: "GatewayTimeout"}


class GraphError(Exception):
    """An answer of Graph other than success."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(f"{status} {code}")


class GraphAccess:
    """Lets requests with good tokens in."""

    def __init__(self, *, authority: str, accounts: Mapping[str, Account], keys: SigningKeys, state: State) -> None:
        self.authority = authority
        self._accounts = accounts
        self._keys = keys
        self._state = state

    def route(self, path: str, handler: Callable[[Request], Awaitable[JSONResponse]]) -> Route:
        """A route under /graph that answers a GraphError as Graph does."""

        async def answer(request: Request) -> JSONResponse:
            try:
                self._fail_if_asked()
                return await handler(request)
            except GraphError as error:
                return _answer(request, error)

        return Route(f"/graph{path}", answer)

    def claims(self, request: Request) -> dict[str, Any]:
        """Claims of the request's token; GraphError when Graph would not take it."""
        try:
            claims = bearer_claims(request, keys=self._keys, audiences=(GRAPH_APP_ID, GRAPH_URI, f"{GRAPH_URI}/"))
        except BearerError as error:
            challenge = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="", client_id=""'}
            raise GraphError(401, "InvalidAuthenticationToken", str(error), headers=challenge) from error
        account = self.account(claims)
        if account is not None and "cp1" in claims.get("xms_cc", ()):
            valid_from = self._state.valid_from(account.key)
            if claims["iat"] < valid_from:
                raise self._challenge(valid_from)
        return claims

    def account(self, claims: Mapping[str, Any]) -> Account | None:
        return next((one for one in self._accounts.values() if one.object_id == claims.get("oid")), None)

    def _fail_if_asked(self) -> None:
        fault = self._state.take_fault(ApiFault, api=GRAPH)
        if fault is None:
            return
        if fault.challenge:
            raise self._challenge(0)
        code = FAULT_CODES.get(fault.status, "UnknownError")
        raise GraphError(fault.status, code, "Asked for through the control API.", headers=fault.headers)

    def _challenge(self, not_before: float) -> GraphError:
        demanded = {"access_token": {"nbf": {"essential": True, "value": str(int(not_before))}}}
        encoded = base64.b64encode(json.dumps(demanded).encode()).decode()
        authorization = f"https://{self.authority}/common/oauth2/authorize"
        challenge = (
            f'Bearer realm="", authorization_uri="{authorization}", client_id="{GRAPH_APP_ID}", '
            f'error="insufficient_claims", claims="{encoded}"'
        )
        message = (
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
            "TokenIssuedBeforeRevocationTimestamp"
        )
        return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})


def _answer(request: Request, error: GraphError) -> JSONResponse:
    request_id = str(uuid.uuid4())
    inner = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": request.headers.get("client-request-id", request_id),
    }
    body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
    return JSONResponse(body, status_code=error.status, headers={"request-id": request_id, **error.headers})
