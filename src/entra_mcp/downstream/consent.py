"""The address at Entra ID where a person allows a permission that the sign-in did not ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entra_mcp.settings import Settings

CONSENT_STATE = "consent"
"""Shows the callback that nobody waits for the code: the consent is what the visit was for."""


def consent_url(settings: Settings, scopes: Sequence[str]) -> str:
    """The address that asks for these scopes (https://learn.microsoft.com/entra/identity-platform/scopes-oidc)."""
    authority = f"https://{settings.authority}/{settings.tenant_id}/oauth2/v2.0/authorize"
    query = {
        "client_id": settings.client_id,
        "response_type": "code",
        "redirect_uri": f"{settings.base_url}/auth/callback",
        "scope": " ".join(scopes),
        "prompt": "consent",
        "state": CONSENT_STATE,
    }
    return f"{settings.authorization_endpoint or authority}?{urlencode(query)}"
