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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.entra.keys import SigningKeys
    from local.entra.registration import Registration
    from local.entra.state import State

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientAuthenticator:
    """Checks the credential of the one registration."""

    def __init__(
        self, *, registration: Registration, state: State, keys: SigningKeys, clock: Callable[[], float]
    ) -> None:
        self._registration = registration
        self._state = state
        self._keys = keys
        self._clock = clock

    def authenticate(self, form: Mapping[str, str], *, authorization: str | None) -> bool:
        """True when the client needed no secret; raises EntraError when it is not who it says."""
        client_id, secret = _basic(authorization) if authorization else (None, None)
        client_id = form.get("client_id", client_id)
        secret = form.get("client_secret", secret)
        if not client_id:
            raise EntraError(900144, field="client_id")
        if client_id.lower() != self._registration.client_id:
            raise EntraError(700016, client=client_id, tenant=self._registration.tenant_id)
        if assertion := form.get("client_assertion"):
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise EntraError(900144, field="client_assertion_type")
            self._check_assertion(assertion)
            return True
        if not secret:
            raise EntraError(7000218)
        self._check_secret(secret)
        return False

    def _check_secret(self, value: str) -> None:
        found = self._state.find_secret(value)
        if found is None:
            raise EntraError(7000215, client=self._registration.client_id)
        if found.expires is not None and found.expires <= self._clock():
            raise EntraError(7000222, client=self._registration.client_id)

    def _check_assertion(self, assertion: str) -> None:
        try:
            claims = self._keys.verify(assertion)
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise EntraError(700024) from error
        except jwt.InvalidTokenError as error:
            raise EntraError(700027, reason=str(error)) from error
        known = self._registration.federated_credentials
        for code, claim, values in (
            (700211, "iss", {credential.issuer for credential in known}),
            (700213, "sub", {credential.subject for credential in known}),
            (700212, "aud", {credential.audience for credential in known}),
        ):
            if claims[claim] not in values:
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
