"""How this server proves to Entra ID that it is the registered application: with a secret, or with an assertion.

The assertion is a token of the managed identity, which the registration trusts through a federated credential: then no
secret exists that could leak or expire (https://learn.microsoft.com/entra/workload-id/workload-identity-federation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from azure.core.exceptions import AzureError

from entra_mcp.errors import UpstreamUnavailableError, first_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from azure.core.credentials_async import AsyncTokenCredential
    from pydantic import SecretStr

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientCredential(Protocol):
    """What is added to a request to the token endpoint (RFC 6749 section 2.3, RFC 7521 section 4.2)."""

    async def parameters(self) -> Mapping[str, str]:
        """Returns the form parameters that prove who this server is."""
        ...

    async def renew(self) -> bool:
        """Looks for a newer credential after this one was refused; returns whether there is one."""
        ...

    async def on_behalf_of(self) -> Mapping[str, Any]:
        """Returns the arguments with which azure-identity's `OnBehalfOfCredential` does the same."""
        ...


class SecretCredential:
    """A client secret, which may be replaced in the vault at any time."""

    def __init__(self, *, current: Callable[[], SecretStr | None], reread: Callable[[], Awaitable[None]]) -> None:
        self._current = current
        self._reread = reread

    async def parameters(self) -> Mapping[str, str]:
        return {"client_secret": self._value()}

    async def renew(self) -> bool:
        refused = self._value()
        await self._reread()
        return self._value() != refused

    async def on_behalf_of(self) -> Mapping[str, Any]:
        return {"client_secret": self._value()}

    def _value(self) -> str:
        secret = self._current()
        if secret is None:
            raise UpstreamUnavailableError("there is no client secret to authenticate with")
        return secret.get_secret_value()


class AssertionCredential:
    """A token of the managed identity; azure-identity keeps it until it is about to expire."""

    def __init__(self, *, identity: AsyncTokenCredential, audience: str) -> None:
        self._identity = identity
        self._scope = f"{audience}/.default"

    async def parameters(self) -> Mapping[str, str]:
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": await self._assertion()}

    async def renew(self) -> bool:
        return False

    async def on_behalf_of(self) -> Mapping[str, Any]:
        assertion = await self._assertion()
        return {"client_assertion_func": lambda: assertion}

    async def _assertion(self) -> str:
        try:
            return (await self._identity.get_token(self._scope)).token
        except AzureError as error:
            raise UpstreamUnavailableError(f"no assertion from the managed identity: {first_line(error)}") from error
