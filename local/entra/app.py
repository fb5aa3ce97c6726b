"""Put the stand-in together: one ASGI app for the https listener, one for the pages a browser opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local.entra.accounts import accounts
from local.entra.apis import Apis
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
from local.entra.registration import FederatedCredential, ManagedIdentity
from local.entra.scopes import ScopeReader
from local.entra.tenants import Tenants
from local.entra.token_endpoint import TokenEndpoint
from local.entra.tokens import TokenIssuer
from local.loopback.host_header import loopback_app

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp

    from local.directory import Directory
    from local.entra.registration import Registration
    from local.entra.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Apps:
    """`secure` is for https and has everything; `sign_in` is for plain http and has the pages alone."""

    secure: ASGIApp
    sign_in: ASGIApp


def build(
    *,
    authority: str,
    registration: Registration,
    directory: Directory,
    additional_scopes: Collection[str] = (),
    identity_header: str,
    state: State,
    clock: Callable[[], float],
) -> Apps:
    """The apps for an authority (host and port); `clock` gives seconds since the epoch."""
    people = accounts(directory, home_tenant=registration.tenant_id)
    tenants = Tenants(home=registration.tenant_id)
    identity = ManagedIdentity()
    federated = FederatedCredential(
        issuer=f"https://{authority}/{registration.tenant_id}/v2.0", subject=identity.principal_id
    )
    registration = replace(registration, federated_credentials=(federated,))
    keys = SigningKeys(state=state)
    scopes = ScopeReader(registration=registration, directory=directory, additional=additional_scopes)
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
        tenants=tenants,
        registration=registration,
        scopes=scopes,
        state=state,
        clock=clock,
    )
    graph = GraphAccess(authority=authority, accounts=people, keys=keys, state=state)
    endpoints = (
        authorize,
        Discovery(authority=authority, tenants=tenants, keys=keys),
        TokenEndpoint(authority=authority, tenants=tenants, authenticator=authenticator, grants=grants, state=state),
        ManagedIdentityEndpoint(header=identity_header, identity=identity, scopes=scopes, tokens=tokens),
        Graph(access=graph),
        Calendar(access=graph),
        Apis(directory=directory, resources=scopes.apis, keys=keys, tokens=tokens, state=state),
        Control(accounts=people, scopes=scopes, state=state, keys=keys, tokens=tokens, clock=clock),
    )
    return Apps(
        secure=loopback_app(route for endpoint in endpoints for route in endpoint.routes()),
        sign_in=loopback_app(authorize.routes()),
    )
