"""Put the stand-in together: one ASGI app for the https listener, one for the pages a browser opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from local.entra.accounts import accounts
from local.entra.authorize import Authorize
from local.entra.calendar import Calendar
from local.entra.client_auth import ClientAuthenticator
from local.entra.control import Control
from local.entra.discovery import Discovery
from local.entra.grants import Grants
from local.entra.graph import Graph
from local.entra.graph_access import GraphAccess
from local.entra.keys import SigningKeys
from local.entra.managed_identity import ManagedIdentityEndpoint
from local.entra.registration import FederatedCredential, ManagedIdentity, Registration
from local.entra.scopes import ScopeReader
from local.entra.tenants import Directory
from local.entra.token_endpoint import TokenEndpoint
from local.entra.tokens import TokenIssuer
from local.loopback.host_header import LoopbackHost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from local.entra.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Apps:
    """`secure` is for https and has everything; `sign_in` is for plain http and has the pages alone."""

    secure: ASGIApp
    sign_in: ASGIApp


def build(
    *,
    authority: str,
    tenant_id: str,
    client_id: str,
    redirect_uris: Sequence[str],
    identity_header: str,
    state: State,
    clock: Callable[[], float],
) -> Apps:
    """The apps for an authority (host and port); `clock` gives seconds since the epoch."""
    people = accounts(home_tenant=tenant_id)
    directory = Directory(home=tenant_id)
    identity = ManagedIdentity()
    federated = FederatedCredential(issuer=f"https://{authority}/{tenant_id}/v2.0", subject=identity.principal_id)
    registration = Registration(
        client_id=client_id,
        tenant_id=tenant_id,
        redirect_uris=tuple(redirect_uris),
        federated_credentials=(federated,),
    )
    keys = SigningKeys(state=state)
    scopes = ScopeReader(registration=registration)
    tokens = TokenIssuer(authority=authority, registration=registration, keys=keys, clock=clock)
    authenticator = ClientAuthenticator(registration=registration, state=state, keys=keys, clock=clock)
    grants = Grants(
        accounts=people,
        registration=registration,
        scopes=scopes,
        state=state,
        keys=keys,
        tokens=tokens,
        clock=clock,
    )
    authorize = Authorize(
        authority=authority,
        accounts=people,
        directory=directory,
        registration=registration,
        scopes=scopes,
        state=state,
        clock=clock,
    )
    graph = GraphAccess(authority=authority, accounts=people, keys=keys, state=state)
    endpoints = (
        authorize,
        Discovery(authority=authority, directory=directory, keys=keys),
        TokenEndpoint(
            authority=authority, directory=directory, authenticator=authenticator, grants=grants, state=state
        ),
        ManagedIdentityEndpoint(header=identity_header, identity=identity, scopes=scopes, tokens=tokens),
        Graph(access=graph),
        Calendar(access=graph),
        Control(accounts=people, scopes=scopes, state=state, keys=keys, tokens=tokens, clock=clock),
    )
    health = Route("/healthz", _health)
    return Apps(
        secure=_app([health, *(route for endpoint in endpoints for route in endpoint.routes())]),
        sign_in=_app([health, *authorize.routes()]),
    )


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def _app(routes: Sequence[BaseRoute]) -> ASGIApp:
    return Starlette(routes=list(routes), middleware=[Middleware(LoopbackHost)])
