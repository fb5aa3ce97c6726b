"""Clients whose id is the URL of their own description (client ID metadata documents).

Threat: anybody can make this server fetch an address of their choosing. FastMCP refuses what is not public. It does not
know the address at which Azure serves its virtual machines, which counts as public
(https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16), and takes any port. It also checks
redirect URIs and scopes less strictly than this server does those of clients that register.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, override
from urllib.parse import urlsplit

import httpx2
from fastmcp.server.auth.cimd import CIMDClientManager, CIMDFetcher, CIMDFetchError, CIMDValidationError
from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from fastmcp.server.auth.ssrf import SSRFError, resolve_hostname
from mcp.shared.auth import InvalidRedirectUriError

from entra_mcp.auth.parameters import GRANTS, described
from entra_mcp.auth.redirects import is_allowed
from entra_mcp.errors import DependencyError
from entra_mcp.request import note_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmcp.server.auth.cimd import CIMDDocument
    from pydantic import AnyUrl


PLATFORM = IPv4Address("168.63.129.16")

FETCH_SECONDS = 3.0

LONGEST = 2048
"""Characters of a client id."""

logger = logging.getLogger(__name__)


class DocumentedClient(ProxyDCRClient):
    """A client that may use only what its document *and* this server's list of redirect URIs admit."""

    @override
    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        found = super().validate_redirect_uri(redirect_uri)
        if not is_allowed(str(found), self.allowed_redirect_uri_patterns or ()):
            raise InvalidRedirectUriError("The redirect URI is not one that this server admits.")
        return found


class ClientDocuments(CIMDClientManager):
    """Makes clients of documents. They may do what clients that register may, whatever the document says."""

    def __init__(self, *, scopes: Sequence[str], allowed_redirect_uri_patterns: list[str]) -> None:
        super().__init__(allowed_redirect_uri_patterns=allowed_redirect_uri_patterns)
        self._scope = " ".join(scopes)
        self._documents = GuardedFetcher()

    @override
    def is_cimd_client_id(self, client_id: str) -> bool:
        return self._documents.is_cimd_client_id(client_id)

    @override
    async def get_client(self, client_id_url: str) -> DocumentedClient | None:
        try:
            document = await self._documents.fetch(client_id_url)
        except (CIMDFetchError, CIMDValidationError) as error:
            logger.warning("The metadata document of client %s was not taken: %s", described(client_id_url), error)
            return None
        return DocumentedClient(
            client_id=client_id_url,
            redirect_uris=None,
            grant_types=list(GRANTS),
            scope=self._scope,
            token_endpoint_auth_method=document.token_endpoint_auth_method,
            client_name=document.client_name,
            cimd_document=document,
            allowed_redirect_uri_patterns=self.allowed_redirect_uri_patterns,
        )


class GuardedFetcher(CIMDFetcher):
    """Fetches documents from public web servers. One that does not answer is an outage: its client is not gone."""

    def __init__(self) -> None:
        super().__init__(timeout=FETCH_SECONDS)

    @override
    def is_cimd_client_id(self, client_id: str) -> bool:
        return len(client_id) <= LONGEST and super().is_cimd_client_id(client_id) and _is_plain(client_id)

    @override
    async def fetch(self, client_id_url: str) -> CIMDDocument:
        kept = self._cache.get(client_id_url)
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                if kept is None or kept.expires_at <= time.time():
                    await _refuse_the_platform(client_id_url)
                document = await super().fetch(client_id_url)
                if document.jwks_uri is not None and document is not (kept and kept.doc):
                    await _refuse_the_platform(str(document.jwks_uri))
                # Refuses text that is no Unicode, which JSON can express.
                document.model_dump_json()
        except TimeoutError as error:
            note_fault(DependencyError("client_document", f"no answer within {FETCH_SECONDS:.0f} s"))
            raise CIMDFetchError("no answer in time") from error
        except (CIMDFetchError, CIMDValidationError) as error:
            if _is_outage(error):
                note_fault(DependencyError("client_document", "it cannot be fetched now"))
            raise
        except (ValueError, RecursionError) as error:
            # Bytes that are no UTF-8, a number of 5,000 digits, lists in lists in lists.
            raise CIMDValidationError("the document is not JSON") from error
        return document


async def _refuse_the_platform(url: str) -> None:
    """Refuses what resolves to an address of the platform; FastMCP refuses private ones.

    FastMCP resolves the name once more, which may lead there then; on the port of https the platform serves nothing.
    """
    if not _is_plain(url):
        raise CIMDValidationError("the address has a user name, a port of its own or a fragment")
    try:
        found = await resolve_hostname(urlsplit(url).hostname or "")
    except SSRFError as error:
        raise CIMDValidationError("the host name does not resolve") from error
    # Addresses of version 6 can stand for one of version 4 in several ways; each holds its bytes.
    if any(PLATFORM.packed in ip_address(address.partition("%")[0]).packed for address in found):
        raise CIMDValidationError("the address is one of the platform")


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return port in {None, 443} and "@" not in parts.netloc and "#" not in url


def _is_outage(error: BaseException) -> bool:
    """Whether another attempt may succeed: no connection, no answer, no name server."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx2.RequestError):
            return True
        if isinstance(cause, socket.gaierror):
            return cause.errno == socket.EAI_AGAIN
        cause = cause.__cause__
    return False
