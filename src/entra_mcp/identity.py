"""The credential with which the server itself reaches Key Vault and Table Storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from entra_mcp.settings import Settings


def azure_credential(settings: Settings, *, client_id: str | None = None) -> AsyncTokenCredential:
    """Returns a credential, which its caller closes.

    Where a managed identity exists it is used and nothing else is tried: a chain of fallbacks would hide a missing role
    assignment behind the developer tools' errors, and would cost time at every cold start. Elsewhere the developer's
    own sign-in (Azure CLI, Visual Studio Code and so on) is used.
    """
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if settings.identity_endpoint:
        return ManagedIdentityCredential(client_id=client_id or settings.identity_client_id)
    return DefaultAzureCredential()
