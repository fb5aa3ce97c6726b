"""Read the bearer token of a request to an API that this directory protects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

    from local.entra.keys import SigningKeys


class BearerError(Exception):
    """The request has no acceptable token; the message is what Microsoft Graph says."""


def bearer_claims(request: Request, *, keys: SigningKeys, audiences: Collection[str]) -> dict[str, Any]:
    """Claims of a valid token for one of the audiences; raises BearerError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BearerError("Access token is empty.")
    try:
        claims = keys.verify(token.strip())
    except jwt.ExpiredSignatureError as error:
        raise BearerError("Lifetime validation failed, the token is expired.") from error
    except jwt.InvalidTokenError as error:
        raise BearerError("Access token validation failure. Invalid signature.") from error
    if claims["aud"] not in audiences:
        raise BearerError("Access token validation failure. Invalid audience.")
    return claims
