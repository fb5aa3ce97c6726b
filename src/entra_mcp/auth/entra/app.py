"""The app registration that this server is in Entra ID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from entra_mcp.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraApp:
    """Where the registration is, how it is called, and whose accounts it admits."""

    client_id: str
    tenant_id: str
    """A directory (tenant) id, or `organizations`, or `consumers`."""

    authority: str
    """Host of the sign-in service."""

    identifier_uri: str
    allowed_tenants: tuple[str, ...] = ()
    """With `organizations`, the only tenants that are admitted; empty admits every organization."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Returns the registration that the settings name."""
        return cls(
            client_id=settings.client_id,
            tenant_id=settings.tenant_id,
            authority=settings.authority,
            identifier_uri=settings.identifier_uri,
            allowed_tenants=settings.allowed_tenants,
        )

    @property
    def issuers(self) -> str:
        """With what the address of every issuer of the sign-in service begins."""
        return f"https://{self.authority}/"

    def issuer(self, tenant_id: str) -> str:
        """Returns the issuer of a tenant's tokens, version 2.0."""
        return f"{self.issuers}{tenant_id}/v2.0"
