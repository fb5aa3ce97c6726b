"""Put the stand-in together: one ASGI app for the https listener, one for the pages a browser opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.entra.accounts import accounts
from local.entra.apis import Apis
from local.entra.authorize import Authorize
from local.entra.control import Control
from local.entra.discovery import Discovery
from local.entra.graph import Graph
from local.entra.keys import SigningKeys
from local.entra.managed_identity import ManagedIdentityEndpoint
from local.entra.registration import ManagedIdentity
from local.entra.scopes import ScopeReader
from local.entra.shared import Entra
from local.entra.token_endpoint import TokenEndpoint
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
    state: State,
    clock: Callable[[], float],
) -> Apps:
    """The apps for an authority (host and port); `clock` gives seconds since the epoch."""
    entra = Entra(
        authority=authority,
        registration=registration,
        identity=ManagedIdentity(),
        accounts=accounts(directory, home_tenant=registration.tenant_id),
        apis=directory.apis,
        scopes=ScopeReader(registration=registration, directory=directory, additional=additional_scopes),
        state=state,
        keys=SigningKeys(state=state),
        clock=clock,
    )
    authorize = Authorize(entra)
    others = (
        Discovery(entra),
        TokenEndpoint(entra),
        ManagedIdentityEndpoint(entra),
        Graph(entra),
        Apis(entra),
        Control(entra),
    )
    return Apps(
        secure=loopback_app([*authorize.routes(), *(route for endpoint in others for route in endpoint.routes())]),
        sign_in=loopback_app(authorize.routes()),
    )
