"""Asks Entra ID whether it accepts a client secret yet: a new one takes a while to be known everywhere.

A server that took the secret from the vault before that would fail its sign-ins, so it goes into the vault afterwards.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2

from ops.aadsts import codes_in
from ops.errors import OpsError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ops.command import Services

NOT_KNOWN_YET = frozenset({7000215, 700016, 7000229, 90033})
"""Wrong secret, no such application, no service principal, passing fault: what a replica says that lags behind."""

WAITS = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0, 15.0, 15.0)
"""Seconds between attempts."""


def wait_until_accepted(services: Services, *, client_id: str, secret: SecretStr) -> None:
    """Returns when the secret counts. The token that comes with the answer is not looked at.

    Raises:
        OpsError: it does not within two minutes.
    """
    for wait in (*WAITS, None):
        if _accepts(services, client_id=client_id, secret=secret):
            return
        if wait is not None:
            services.patience.wait(wait, "Entra ID does not know the new client secret everywhere yet")
    raise OpsError(
        "Entra ID made a client secret, but does not accept it yet. Nothing in the vault was changed; run the "
        "command again in a few minutes, which removes the unused one."
    )


def _accepts(services: Services, *, client_id: str, secret: SecretStr) -> bool:
    url = f"https://{services.cloud.authority}/{services.registration_tenant}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret.get_secret_value(),
        "scope": services.cloud.graph_scope,
    }
    try:
        response = services.http.post(url, data=form)
    except httpx2.TransportError:
        return False
    if response.is_server_error or response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return False
    # Any other refusal, by a policy for applications for instance, comes after the secret was found right.
    return not NOT_KNOWN_YET.intersection(codes_in(response.text))
