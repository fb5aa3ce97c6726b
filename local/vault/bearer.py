"""Check the caller's token as Key Vault does, against the signing keys of the directory.

Threat: a vault that trusted any token of the directory would accept one that a user sent to another API.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import jwt

from local.vault.errors import VaultError

if TYPE_CHECKING:
    from pathlib import Path

RESOURCE = "https://vault.azure.net"


class BearerCheck:
    """Accepts tokens for Key Vault of one tenant; the keys are fetched when first needed and kept for five minutes."""

    def __init__(self, *, authority: str, tenant_id: str, ca: Path) -> None:
        self._issuers = {f"https://sts.windows.net/{tenant_id}/", f"https://{authority}/{tenant_id}/v2.0"}
        self.challenge = f'Bearer authorization="https://{authority}/{tenant_id}", resource="{RESOURCE}"'
        self._keys = jwt.PyJWKClient(
            f"https://{authority}/{tenant_id}/discovery/v2.0/keys",
            ssl_context=ssl.create_default_context(cafile=str(ca)),
            timeout=5,
            cooldown_duration=0,  # a rotated key must work at once; nobody floods a loopback server
        )

    async def check(self, authorization: str) -> dict[str, Any]:
        """Claims of the caller's token.

        Raises VaultError: 401 for a missing or wrong token, 503 while the directory does not answer.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise VaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        try:
            claims = await asyncio.to_thread(self._verify, token)
        except jwt.PyJWKClientConnectionError as error:
            raise VaultError(503, "ServiceUnavailable", "The directory's signing keys cannot be fetched.") from error
        except jwt.InvalidAudienceError as error:
            raise VaultError(401, "Unauthorized", f"AKV10022: Invalid audience. Expected {RESOURCE}.") from error
        except jwt.PyJWTError as error:
            raise VaultError(401, "Unauthorized", f"[TokenInvalid] Error validating token: {error}") from error
        if claims["iss"] not in self._issuers:
            raise VaultError(401, "Unauthorized", "AKV10032: Invalid issuer.")
        return claims

    def _verify(self, token: str) -> dict[str, Any]:
        key = self._keys.get_signing_key_from_jwt(token)
        options: Any = {"require": ["exp", "nbf", "iss", "aud"]}
        return jwt.decode(token, key, algorithms=["RS256"], audience=[RESOURCE, f"{RESOURCE}/"], options=options)
