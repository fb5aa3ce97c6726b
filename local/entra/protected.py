"""What Microsoft Graph and the other APIs share: the bearer token of a request, its parameters, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from local.entra.keys import SigningKeys


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        super().__init__(f"{status} {code}")


def bearer_claims(
    request: Request, *, keys: SigningKeys, audiences: Collection[str], refused: Callable[[str], ApiError]
) -> dict[str, Any]:
    """Claims of a valid token for one of the audiences; raises what `refused` returns for the words of Graph."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise refused("Access token is empty.")
    try:
        claims = keys.verify(token.strip())
    except jwt.ExpiredSignatureError as error:
        raise refused("Lifetime validation failed, the token is expired.") from error
    except jwt.InvalidTokenError as error:
        raise refused("Access token validation failure. Invalid signature.") from error
    if claims["aud"] not in audiences:
        raise refused("Access token validation failure. Invalid audience.")
    return claims


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(claims.get("scp", "")).split())


def number(query: QueryParams, name: str, *, default: int, smallest: int, largest: int, code: str) -> int:
    """A parameter of the query; any other text raises ApiError 400 with this code."""
    text = query.get(name, str(default))
    if not text.isdecimal() or not smallest <= int(text) <= largest:
        raise ApiError(400, code, f"{name} has to be a number from {smallest} to {largest}.")
    return int(text)
