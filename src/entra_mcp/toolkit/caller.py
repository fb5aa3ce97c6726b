"""Who is calling, a person or an application, as a dependency of tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastmcp.dependencies import Depends
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_access_token

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Caller:
    """What the verified token of Entra ID says of whom it was issued to.

    `object_id` together with `tenant_id` identifies the caller for good; name and username may change
    (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference). An application that calls for
    itself (`ENTRA_ALLOWED_APP_ROLES`) has neither of the two, and no scopes, but roles.
    """

    object_id: str
    tenant_id: str
    name: str | None
    username: str | None
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    application_id: str | None = None
    """Client id of an application that calls for itself; None for a person, whatever client they use."""

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """Reads the claims of a verified access token, version 2.0."""
        return cls(
            object_id=str(claims["oid"]),
            tenant_id=str(claims["tid"]),
            name=claims.get("name"),
            username=claims.get("preferred_username"),
            scopes=tuple(str(claims.get("scp", "")).split()),
            roles=tuple(claims.get("roles", ())),
            # A person's token always has scopes.
            application_id=None if "scp" in claims else claims.get("azp"),
        )


def CurrentCaller() -> Caller:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool needs to know who is calling."""
    return Depends(_caller)


def _caller() -> Caller:
    token = get_access_token()
    if token is None:
        raise ToolError("This tool needs a signed-in caller.")
    return Caller.from_claims(token.claims)
