"""Credentials that exchange a person's token for one of another API (on-behalf-of), kept while they are useful."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING

from azure.identity.aio import OnBehalfOfCredential

if TYPE_CHECKING:
    from entra_mcp.auth.client_credential import ClientCredential

MOST = 128
"""Credentials that are kept; each holds the tokens that it got."""


class OnBehalfOfCredentials:
    """One credential for each user's token, least recently used first out."""

    def __init__(self, *, tenant_id: str, client_id: str, authority: str, credential: ClientCredential) -> None:
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._authority = authority
        self._credential = credential
        self._kept: OrderedDict[bytes, OnBehalfOfCredential] = OrderedDict()

    async def get(self, user_assertion: str) -> OnBehalfOfCredential:
        """Returns the credential for a user's token; a new client secret makes a new one."""
        proof = await self._credential.on_behalf_of()
        key = sha256(f"{proof.get('client_secret', '')}\0{user_assertion}".encode()).digest()
        if key not in self._kept:
            self._kept[key] = OnBehalfOfCredential(
                tenant_id=self._tenant_id,
                client_id=self._client_id,
                authority=f"https://{self._authority}",
                user_assertion=user_assertion,
                **proof,
            )
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            _, oldest = self._kept.popitem(last=False)
            await oldest.close()
        return self._kept[key]

    async def close(self) -> None:
        while self._kept:
            _, credential = self._kept.popitem()
            await credential.close()
