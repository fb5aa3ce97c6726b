"""The control API: what an administrator does in the portal, and faults on demand, for tests and demonstrations.

Threat: it is open to every program on the machine, as the whole stand-in is, but a web page must not reach it. So
requests with an Origin header are refused, and bodies must be JSON, which a page cannot send without asking first
(CORS).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from local.directory import GRAPH
from local.entra.state import TOKEN_ENDPOINT, ApiFault, TokenFault
from local.entra.tokens import assertion_claims, new_session, user_claims

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.shared import Entra


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _SecretBody(_Body):
    value: str | None = Field(default=None, min_length=1)
    expires_in: float | None = None


class _TokenBody(_Body):
    account: str = ""
    """The first of the file unless given."""
    claims: dict[str, Any] = {}
    headers: dict[str, Any] = {}


class _AssertionBody(_TokenBody):
    client_id: str
    audience: str
    resource: str
    scope: str = "access_as_user"


class Control:
    """Routes under /_local."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra

    def routes(self) -> list[Mount]:
        def route(path: str, handler: Callable[[Request], Awaitable[Response]], method: str) -> Route:
            async def guarded(request: Request) -> Response:
                if "origin" in request.headers:
                    raise HTTPException(403, "The control API is not for browsers.")
                return await handler(request)

            return Route(path, guarded, methods=[method])

        routes = [
            route("/accounts", self.list_accounts, "GET"),
            route("/accounts/{key}/revoke", self.revoke, "POST"),
            route("/faults", self.add_fault, "POST"),
            route("/faults", self.clear_faults, "DELETE"),
            route("/{api}/faults", self.add_api_fault, "POST"),
            route("/{api}/faults", self.clear_faults, "DELETE"),
            route("/keys/rotate", self.rotate_key, "POST"),
            route("/secrets", self.list_secrets, "GET"),
            route("/secrets", self.add_secret, "POST"),
            route("/secrets/{id}", self.remove_secret, "DELETE"),
            route("/tokens", self.sign_token, "POST"),
            route("/assertions", self.sign_assertion, "POST"),
        ]
        return [Mount("/_local", routes=routes)]

    async def list_accounts(self, _request: Request) -> Response:
        return JSONResponse([asdict(account) for account in self._entra.accounts.values()])

    async def revoke(self, request: Request) -> Response:
        account = self._account(request.path_params["key"])
        self._entra.state.revoke(account.key, now=self._entra.clock())
        return Response(status_code=204)

    async def add_fault(self, request: Request) -> Response:
        self._entra.state.add_fault(await _read(request, TokenFault), api=TOKEN_ENDPOINT)
        return Response(status_code=204)

    async def add_api_fault(self, request: Request) -> Response:
        api, fault = self._api(request), await _read(request, ApiFault)
        if fault.challenge and api != GRAPH:
            raise HTTPException(400, "Only Microsoft Graph challenges tokens (continuous access evaluation).")
        self._entra.state.add_fault(fault, api=api)
        return Response(status_code=204)

    async def clear_faults(self, request: Request) -> Response:
        self._entra.state.clear_faults(api=self._api(request) if "api" in request.path_params else TOKEN_ENDPOINT)
        return Response(status_code=204)

    async def rotate_key(self, _request: Request) -> Response:
        return JSONResponse({"kid": self._entra.keys.rotate()}, status_code=201)

    async def list_secrets(self, _request: Request) -> Response:
        return JSONResponse([asdict(secret) for secret in self._entra.state.secrets()])

    async def add_secret(self, request: Request) -> Response:
        body = await _read(request, _SecretBody)
        value = body.value or secrets.token_urlsafe(30)
        expires = None if body.expires_in is None else self._entra.clock() + body.expires_in
        added = self._entra.state.add_secret(value, expires=expires)
        return JSONResponse({**(asdict(added) if added else {}), "value": value}, status_code=201)

    async def remove_secret(self, request: Request) -> Response:
        if not self._entra.state.remove_secret(request.path_params["id"]):
            raise HTTPException(404, "No such secret.")
        return Response(status_code=204)

    async def sign_token(self, request: Request) -> Response:
        body = await _read(request, _TokenBody)
        account, app = self._account(body.account), self._entra.scopes.app
        claims = user_claims(self._entra, account, resource=app, scopes=app.scopes, session=new_session())
        return JSONResponse({"access_token": self._signed(claims, body)})

    async def sign_assertion(self, request: Request) -> Response:
        body = await _read(request, _AssertionBody)
        claims = {
            **assertion_claims(self._entra, self._account(body.account), audience=body.audience),
            **body.model_dump(include={"client_id", "resource", "scope"}),
        }
        return JSONResponse({"assertion": self._signed(claims, body, typ="oauth-id-jag+jwt")})

    def _signed(self, claims: Mapping[str, Any], body: _TokenBody, **headers: str) -> str:
        changed = {name: value for name, value in {**claims, **body.claims}.items() if value is not None}
        return self._entra.keys.sign(changed, headers={**headers, **body.headers})

    def _api(self, request: Request) -> str:
        known, key = (GRAPH, *self._entra.apis), request.path_params["api"]
        if key not in known:
            raise HTTPException(404, f"No API {key!r}; there are {', '.join(known)}.")
        return key

    def _account(self, key: str) -> Account:
        """The account of this key; the first of the file without one."""
        accounts = self._entra.accounts
        key = key or next(iter(accounts))
        if key not in accounts:
            raise HTTPException(404, f"No account {key!r}; there are {', '.join(accounts)}.")
        return accounts[key]


async def _read[Model: BaseModel](request: Request, model: type[Model]) -> Model:
    """The JSON body; an empty one stands for all defaults."""
    if not (content := await request.body()):
        content = b"{}"
    elif request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Send application/json.")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise HTTPException(400, json.dumps(error.errors(include_url=False, include_input=False))) from error
