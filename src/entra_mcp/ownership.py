"""Whose tokens are in a value that FastMCP stores: the object id of the person whom Entra ID issued them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote

import jwt

from entra_mcp.storage.collections import AUTHORIZATION_CODES, UPSTREAM_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNED = (UPSTREAM_TOKENS, AUTHORIZATION_CODES)
"""The collections that hold tokens of Entra ID."""

OWNER = "owner"
"""The member of a value that names its owner itself: an identity assertion may name an object that is not its own."""


def full_name(tenant: str, person: str) -> str:
    """One name for a tenant and an object id, or for an issuer and its subject: no other pair has the same.

    Issuers have slashes, and subjects may, so those of the latter are escaped. Case counts, as in subjects (OpenID
    Connect Core, section 2).
    """
    return f"{tenant}/{quote(person, safe='')}"


def person_of(name: str) -> str:
    """The object id or subject in a full name, as `owner_of` has it."""
    return unquote(name.rpartition("/")[2]).lower()


def owner_of(collection: str, value: Mapping[str, Any]) -> str | None:
    """Returns the object id, or None when the value holds no token of a person."""
    if collection == UPSTREAM_TOKENS:
        if isinstance(named := value.get(OWNER), str):
            return named.lower()
        tokens = value
    elif collection == AUTHORIZATION_CODES:
        tokens = cast("Mapping[str, Any]", value.get("idp_tokens", {}))
    else:
        return None
    try:
        # It came from Entra ID itself, over TLS, and was verified before it got here.
        claims = jwt.decode(str(tokens.get("access_token")), options={"verify_signature": False})
    except jwt.PyJWTError:
        return None
    owner = claims.get("oid")
    return owner.lower() if isinstance(owner, str) else None
