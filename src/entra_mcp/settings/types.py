"""Types of settings: each checks one kind of value, and says what it has to be."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from entra_mcp.known_clients import redirect_patterns
from entra_mcp.urls import require_https, require_narrow, require_origin, require_page_origin


class AuthMode(StrEnum):
    """How the server learns who is calling."""

    PROXY = "proxy"
    """Clients register and sign in here; this server is an authorization server in front of Entra ID."""

    FEDERATED = "federated"
    """As `proxy`, and the server proves who it is with its managed identity instead of a client secret."""

    VERIFY = "verify"
    """Clients bring tokens that Entra ID issued for this server; it only verifies them."""

    @property
    def signs_in(self) -> bool:
        """Whether people sign in at this server, and tools can act on their behalf."""
        return self is not AuthMode.VERIFY


def _split(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def guid(value: str, problem: str) -> str:
    """The GUID in its usual form.

    Raises:
        ValueError: with the problem as its message.
    """
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError(problem) from None


def _tenant(value: str) -> str:
    if not value:
        raise ValueError("is not set: the directory (tenant) id of the app registration")
    if value in {"organizations", "consumers"}:
        return value
    return guid(value, "is neither a tenant GUID nor `organizations` nor `consumers`")


def _client_id(value: str) -> str:
    if not value:
        raise ValueError("is not set: the application (client) id of the app registration")
    return guid(value, "is not the GUID of an app registration")


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host, re.IGNORECASE) for host in value):
        raise ValueError("takes host names such as mcp.contoso.com, without https://, port, path or `*`")
    return value


def _authority(value: str) -> str:
    if not re.fullmatch(r"[\w.-]+(:\d{1,5})?|\[[0-9a-f:]+\](:\d{1,5})?", value, re.IGNORECASE):
        raise ValueError("is a host name such as login.microsoftonline.us, without https:// and without a path")
    return value.lower()


def _own_scopes(value: tuple[str, ...]) -> tuple[str, ...]:
    if any("/" in scope or scope in {"openid", "profile", "email", "offline_access"} for scope in value):
        raise ValueError("takes the registration's own scopes, without the identifier URI and without OpenID scopes")
    if not all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in value):
        raise ValueError("takes scopes of printable ASCII without quotation marks and backslashes")
    return value


def _redirect_uris(value: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in redirect_patterns(value):
        require_narrow(pattern)
    return value


def _graph(value: str) -> str:
    parts = urlsplit(require_https(value))
    if parts.query or parts.fragment or re.search(r"/(v1\.0|beta)/?$", parts.path):
        raise ValueError("is the address of Microsoft Graph without the version, a query or a fragment")
    return value.rstrip("/")


def _vault(value: str) -> str:
    if not value:
        raise ValueError("is not set: the address of the Key Vault, https://<name>.vault.azure.net")
    if urlsplit(value).scheme != "https":
        raise ValueError("has to begin with https://")
    return require_origin(value)


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one environment variable, separated by white space or commas."""

HttpsUrl = Annotated[str, AfterValidator(require_https)]
"""An absolute https URL; http is accepted on loopback."""

Tenant = Annotated[str, AfterValidator(_tenant)]
ClientId = Annotated[str, AfterValidator(_client_id)]
HttpsUrls = Annotated[Words, AfterValidator(lambda value: tuple(require_https(url) for url in value))]
HostNames = Annotated[Words, AfterValidator(_host_names)]
Origins = Annotated[Words, AfterValidator(lambda value: tuple(require_page_origin(origin) for origin in value))]
Authority = Annotated[str, AfterValidator(_authority)]
OwnScopes = Annotated[Words, AfterValidator(_own_scopes)]
RedirectUris = Annotated[Words, AfterValidator(_redirect_uris)]
GraphUrl = Annotated[str, AfterValidator(_graph)]
VaultUrl = Annotated[str, AfterValidator(_vault)]
