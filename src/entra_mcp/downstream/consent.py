"""The address at Entra ID where a person allows a permission that the sign-in did not ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entra_mcp.settings import Settings

CONSENT_STATE = "consent"
"""Shows the callback that nobody waits for the code: the consent is what the visit was for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentLink:
    """Where this registration asks for permissions, and where people come back to."""

    authorization_endpoint: str
    client_id: str
    redirect_uri: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The link of the registration that the settings name."""
        authority = f"https://{settings.authority}/{settings.tenant_id}/oauth2/v2.0/authorize"
        return cls(
            authorization_endpoint=settings.authorization_endpoint or authority,
            client_id=settings.client_id,
            redirect_uri=f"{settings.base_url}/auth/callback",
        )

    def url(self, scopes: Sequence[str]) -> str:
        """The address that asks for these scopes (https://learn.microsoft.com/entra/identity-platform/scopes-oidc)."""
        query = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(scopes),
            "prompt": "consent",
            "state": CONSENT_STATE,
        }
        return f"{self.authorization_endpoint}?{urlencode(query)}"
