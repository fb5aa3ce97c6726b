"""Whose tokens are in a value that FastMCP stores: the object id of the person whom Entra ID issued them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import jwt

from entra_mcp.storage.collections import AUTHORIZATION_CODES, UPSTREAM_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNED = (UPSTREAM_TOKENS, AUTHORIZATION_CODES)
"""The collections that hold tokens of Entra ID."""


def owner_of(collection: str, value: Mapping[str, Any]) -> str | None:
    """Returns the object id, or None when the value holds no token of a person."""
    match collection:
        case _ if collection == UPSTREAM_TOKENS:
            token = value.get("access_token")
        case _ if collection == AUTHORIZATION_CODES:
            token = cast("Mapping[str, Any]", value.get("idp_tokens", {})).get("access_token")
        case _:
            return None
    try:
        # It came from Entra ID itself, over TLS, and was verified before it got here.
        claims = jwt.decode(str(token), options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    # An identity assertion of another provider knows no object.
    owner = claims.get("oid", claims.get("sub"))
    return owner.lower() if isinstance(owner, str) else None
