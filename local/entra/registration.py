"""The app registration and the managed identity that the stand-in knows."""

from __future__ import annotations

from dataclasses import dataclass

from local.config import IDENTITY_CLIENT_ID

TOKEN_EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"  # noqa: S105 - a public audience name


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedIdentity:
    """A user-assigned identity; `principal_id` is the subject of its tokens.

    Its tokens for `TOKEN_EXCHANGE_AUDIENCE` replace a client secret of the registration (a federated credential).
    """

    client_id: str = IDENTITY_CLIENT_ID
    principal_id: str = "66666666-6666-4666-8666-666666666666"
    resource_id: str = (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/local/providers/"
        "Microsoft.ManagedIdentity/userAssignedIdentities/local"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A confidential web app that exposes an API with delegated scopes and asks for version 2 tokens.

    It asks for no optional claim, so tokens for its own API have no `idtyp`.
    """

    client_id: str
    tenant_id: str
    identifier_uri: str
    redirect_uris: tuple[str, ...]
    name: str = "Local MCP server"
    principal_id: str = "77777777-7777-4777-8777-777777777777"
    scopes: frozenset[str] = frozenset({"access_as_user"})
    app_roles: tuple[str, ...] = ()
    """App roles that its own service principal has, for calls of the application without a person."""
