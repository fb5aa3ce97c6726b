"""Who is calling the token endpoint: a client secret in the body or the header, or a federated assertion.

Threat: a stand-in that is laxer than Entra hides a missing or wrong credential until the first deployment.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import jwt

from local.entra.errors import EntraError
from local.entra.registration import TOKEN_EXCHANGE_AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.entra.shared import Entra

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def authenticate(entra: Entra, form: Mapping[str, str], *, authorization: str | None) -> bool:
    """True when the client needed no secret; raises EntraError when it is not the app that it says it is."""
    client_id, secret = _basic(authorization) if authorization else (None, None)
    client_id = form.get("client_id", client_id)
    secret = form.get("client_secret", secret)
    if not client_id:
        raise EntraError(900144, field="client_id")
    if client_id.lower() != entra.registration.client_id:
        raise EntraError(700016, client=client_id, tenant=entra.registration.tenant_id)
    if assertion := form.get("client_assertion"):
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise EntraError(900144, field="client_assertion_type")
        _check_assertion(entra, assertion)
        return True
    if not secret:
        raise EntraError(7000218)
    found = entra.state.find_secret(secret)
    if found is None:
        raise EntraError(7000215, client=entra.registration.client_id)
    if found.expires is not None and found.expires <= entra.clock():
        raise EntraError(7000222, client=entra.registration.client_id)
    return False


def _check_assertion(entra: Entra, assertion: str) -> None:
    """The assertion has to match the federated credential of the managed identity in all three values."""
    try:
        claims = entra.keys.verify(assertion)
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise EntraError(700024) from error
    except jwt.InvalidTokenError as error:
        raise EntraError(700027, reason=str(error)) from error
    for code, claim, expected in (
        (700211, "iss", entra.issuer(entra.registration.tenant_id, version=2)),
        (700213, "sub", entra.identity.principal_id),
        (700212, "aud", TOKEN_EXCHANGE_AUDIENCE),
    ):
        if claims[claim] != expected:
            raise EntraError(code, presented=str(claims[claim]))


def _basic(authorization: str) -> tuple[str | None, str | None]:
    """Client id and secret of an HTTP Basic header, form-encoded inside it (RFC 6749 section 2.3.1)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise EntraError(9002313) from error
    client_id, _, secret = decoded.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)
