"""How this server proves to Entra ID that it is the registered application: with a secret, or with an assertion.

The assertion is a token of the managed identity, which the registration trusts through a federated credential: then no
secret exists that could leak or expire (https://learn.microsoft.com/entra/workload-id/workload-identity-federation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from azure.core.exceptions import AzureError

from entra_mcp.errors import UpstreamUnavailableError, first_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from azure.core.credentials_async import AsyncTokenCredential
    from pydantic import SecretStr

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECRET, ASSERTION = "client_secret", "client_assertion"


class ClientCredential(Protocol):
    """What is added to a request to the token endpoint (RFC 6749 section 2.3, RFC 7521 section 4.2)."""

    async def parameters(self) -> Mapping[str, str]:
        """Returns the form parameters that prove who this server is."""
        ...

    async def renew(self, *, refused: Mapping[str, str]) -> bool:
        """Looks for a newer credential than the parameters that were refused; returns whether there is one."""
        ...


class SecretCredential:
    """A client secret, which may be replaced in the vault at any time."""

    def __init__(self, *, current: Callable[[], SecretStr | None], reread: Callable[[], Awaitable[None]]) -> None:
        self._current = current
        self._reread = reread

    async def parameters(self) -> Mapping[str, str]:
        secret = self._current()
        if secret is None:
            raise UpstreamUnavailableError("there is no client secret to authenticate with")
        return {SECRET: secret.get_secret_value()}

    async def renew(self, *, refused: Mapping[str, str]) -> bool:
        # Another request may have read it already, after this one was sent.
        if await self.parameters() == refused:
            await self._reread()
        return await self.parameters() != refused


class AssertionCredential:
    """A token of the managed identity; azure-identity keeps it until it is about to expire."""

    def __init__(self, *, identity: AsyncTokenCredential, audience: str) -> None:
        self._identity = identity
        self._scope = f"{audience}/.default"

    async def parameters(self) -> Mapping[str, str]:
        try:
            assertion = (await self._identity.get_token(self._scope)).token
        except AzureError as error:
            raise UpstreamUnavailableError(f"no assertion from the managed identity: {first_line(error)}") from error
        return {"client_assertion_type": ASSERTION_TYPE, ASSERTION: assertion}

    async def renew(self, *, refused: Mapping[str, str]) -> bool:
        return await self.parameters() != refused
