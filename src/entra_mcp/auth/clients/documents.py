"""Clients whose id is the URL of their own description (client ID metadata documents).

Documents are fetched where it costs others nothing (`fetches.py`). FastMCP checks redirect URIs and scopes of
such clients less strictly than this server does those of clients that register. It remembers the assertions of clients
with a key on one instance alone, all of them in one place that anybody with a key can fill.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from typing import TYPE_CHECKING, Any, cast, override
from urllib.parse import urlsplit

import httpx2
import jwt
from fastmcp.server.auth.auth import PrivateKeyJWTClientAuthenticator
from fastmcp.server.auth.cimd import (
    CIMDAssertionValidator,
    CIMDClientManager,
    CIMDFetcher,
    CIMDFetchError,
    CIMDValidationError,
)
from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from fastmcp.server.auth.ssrf import SSRFError, SSRFFetchError
from mcp.server.auth.middleware.client_auth import AuthenticationError
from mcp.shared.auth import InvalidRedirectUriError

from entra_mcp.auth.clients.fetches import TooManyLookupsError
from entra_mcp.auth.clients.keys import ClientKeys, chosen, public_keys
from entra_mcp.auth.clients.redirects import problem_with
from entra_mcp.auth.parameters import described, grants_of, has_finite_times
from entra_mcp.errors import DependencyError
from entra_mcp.known_clients import redirect_patterns
from entra_mcp.request import record_failure, recording_failures
from entra_mcp.storage.ledger import Redemption
from entra_mcp.urls import is_loopback
from entra_mcp.web.exchange_queue import NoTurnError

if TYPE_CHECKING:
    from fastmcp.server.auth.cimd import CIMDDocument
    from mcp.shared.auth import OAuthClientInformationFull
    from pydantic import AnyUrl
    from starlette.requests import Request

    from entra_mcp.auth.clients.fetches import ClientFetches
    from entra_mcp.settings import Settings
    from entra_mcp.storage.ledger import Ledger

FETCH_SECONDS = 3.0

MAX_CLIENT_ID = 2048
"""Characters of a client id."""

MAX_ASSERTION_ID = 255
"""Characters of the `jti` of an assertion."""

ASSERTION = "client-assertion"
"""The kind of use of an assertion in the ledger."""

LEASE_SECONDS = 2.0
"""For which another instance waits when it gets the same assertion at the same moment."""

REMEMBERED_SECONDS = 600.0
"""How long an assertion is remembered: longer than FastMCP lets one be good (five minutes)."""

LOOPBACK_PORT = re.compile(r"^(http://[^/?#]*?)(:[\d*]+)?(?=[/?#]|$)")

logger = logging.getLogger(__name__)


class DocumentedClient(ProxyDCRClient):
    """A client that may use only what its document *and* this server's list of redirect URIs admit."""

    @override
    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        # FastMCP reads patterns in its own way, and would refuse without a reason.
        changes: dict[str, Any] = {"allowed_redirect_uri_patterns": None}
        if redirect_uri is not None:
            # Which port is free on loopback is known when the client asks (RFC 8252 section 7.3).
            changes["cimd_document"] = _on_any_port(self)
        client = self.model_copy(update=changes)
        found = super(DocumentedClient, client).validate_redirect_uri(redirect_uri)
        reason = problem_with(str(found), self.allowed_redirect_uri_patterns or ())
        if reason is not None:
            logger.warning("An authorization was refused: %s", reason)
            raise InvalidRedirectUriError(reason)
        return found


class ClientDocuments(CIMDClientManager):
    """Turns documents into clients. They may do what clients that register may, whatever the document says."""

    def __init__(self, settings: Settings, *, fetches: ClientFetches, ledger: Ledger) -> None:
        super().__init__(allowed_redirect_uri_patterns=redirect_patterns(settings.allowed_redirect_uris))
        self._scope = " ".join(settings.offered_scopes)
        self._grants = list(grants_of(settings))
        self._documents = DocumentFetcher(timeout=FETCH_SECONDS)
        self._assertions = _AssertionValidator()
        self._fetches = fetches
        self._ledger = ledger

    @override
    def is_cimd_client_id(self, client_id: str) -> bool:
        return self._documents.is_cimd_client_id(client_id)

    @override
    async def get_client(self, client_id_url: str) -> DocumentedClient | None:
        """Returns the client; None when there is none. A web server that does not answer is an outage."""
        try:
            document = self._documents.remembered(client_id_url) or await self._fetches.run(
                lambda: self._documents.fetch(client_id_url), seconds=FETCH_SECONDS
            )
        except (CIMDFetchError, CIMDValidationError, TooManyLookupsError, NoTurnError, TimeoutError) as error:
            reason = str(error) or f"no answer within {FETCH_SECONDS:.0f} s"
            logger.warning("The document of client %s was not taken: %s", described(client_id_url), described(reason))
            if _is_outage(error):
                record_failure(DependencyError("client_document", "it cannot be fetched now"))
            return None
        return DocumentedClient(
            client_id=client_id_url,
            redirect_uris=None,
            grant_types=list(self._grants),
            scope=self._scope,
            token_endpoint_auth_method=document.token_endpoint_auth_method,
            client_name=document.client_name,
            cimd_document=document,
            allowed_redirect_uri_patterns=self.allowed_redirect_uri_patterns,
        )

    @override
    async def validate_private_key_jwt(
        self, assertion: str, client: OAuthClientInformationFull, token_endpoint: str
    ) -> bool:
        """Accepts an assertion once, on whatever instance (RFC 7523 section 3).

        Raises:
            ValueError: it is not good, or not any more.
            StorageError: nobody knows whether it came before.
        """
        document = client.cimd_document if isinstance(client, DocumentedClient) else None
        if document is None or document.token_endpoint_auth_method != "private_key_jwt":  # noqa: S105 - the name of a method
            raise ValueError("the client's document names no key")
        validate, client_id = self._assertions.validate_assertion, str(client.client_id)
        try:
            await self._fetches.run(
                lambda: validate(assertion, client_id, token_endpoint, document), seconds=FETCH_SECONDS
            )
        except (SSRFError, SSRFFetchError, TooManyLookupsError, NoTurnError, TimeoutError) as error:
            if _is_outage(error):
                record_failure(DependencyError("client_document", "the keys of a client cannot be fetched now"))
            raise ValueError("the keys cannot be fetched") from error
        claims = jwt.decode(assertion, options={"verify_signature": False})
        jti = claims["jti"]
        if not isinstance(jti, str) or len(jti) > MAX_ASSERTION_ID:
            raise ValueError("the id of the assertion is no text, or too long")
        if not has_finite_times(claims):
            raise ValueError("a time of the assertion is no number")
        identity = f"{client_id}\0{jti}"
        with recording_failures():
            found = await self._ledger.acquire(
                ASSERTION, identity, seconds=LEASE_SECONDS, expires_in=REMEMBERED_SECONDS
            )
            if isinstance(found, Redemption) or not await self._ledger.settle(found, {}):
                raise ValueError("the assertion was used before")
        return True


class _AssertionValidator(CIMDAssertionValidator):
    """Leaves it to the ledger whether an assertion was used, and so keeps nothing that strangers send."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = ClientKeys()

    @override
    async def validate_assertion(
        self, assertion: str, client_id: str, token_endpoint: str, cimd_doc: CIMDDocument
    ) -> bool:
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError as error:
            raise ValueError("the assertion is no JWT") from error
        at = cimd_doc.jwks_uri
        key = await self._keys.get(str(at), header) if at else chosen(public_keys(cimd_doc.jwks), header)
        if key is None:
            raise ValueError("the client has no such key")
        document = cimd_doc.model_copy(update={"jwks_uri": None, "jwks": {"keys": [key]}})
        # The token endpoint, or the issuer, as the MCP SDKs have it. The verifier behind this takes several.
        issuer = token_endpoint.removesuffix("token")
        audiences = cast("str", [token_endpoint, issuer, issuer.removesuffix("/")])
        valid = await super().validate_assertion(assertion, client_id, audiences, document)
        self._jti_cache.clear()
        return valid


class DocumentFetcher(CIMDFetcher):
    """Fetches documents over https alone, and refuses what is no JSON in whatever way."""

    @override
    def is_cimd_client_id(self, client_id: str) -> bool:
        return len(client_id) <= MAX_CLIENT_ID and super().is_cimd_client_id(client_id) and _is_plain(client_id)

    def remembered(self, client_id_url: str) -> CIMDDocument | None:
        """Returns the document that `fetch` would answer with at once; None when it would ask for it.

        Raises:
            CIMDValidationError: as `fetch`.
        """
        entry = self._cache.get(client_id_url)
        if entry is None or entry.must_revalidate or entry.expires_at <= time.time():
            return None
        return _accepted(entry.doc)

    @override
    async def fetch(self, client_id_url: str) -> CIMDDocument:
        try:
            document = await super().fetch(client_id_url)
        except (ValueError, RecursionError, OverflowError) as error:
            # Bytes that are no UTF-8, a number of 5,000 digits, lists in lists in lists; more seconds than a clock has.
            raise CIMDValidationError("the document, or how long it is to be kept, cannot be read") from error
        return _accepted(document)


class DocumentedClientAuthenticator(PrivateKeyJWTClientAuthenticator):
    """Knows that an assertion is bad if anything in it cannot be read."""

    @override
    async def authenticate_request(self, request: Request) -> OAuthClientInformationFull:
        try:
            return await super().authenticate_request(request)
        except (RecursionError, UnicodeError, TypeError, OverflowError, KeyError) as error:
            # Lists in lists, text that is no Unicode, a claim of another type, a time without end, a curve unheard of.
            raise AuthenticationError("Invalid client assertion") from error


def _accepted(document: CIMDDocument) -> CIMDDocument:
    try:
        # Refuses text that is no Unicode, which JSON can express.
        document.model_dump_json()
    except (ValueError, RecursionError) as error:
        raise CIMDValidationError("the document cannot be read") from error
    if document.jwks_uri is not None and not _is_plain(str(document.jwks_uri)):
        raise CIMDValidationError("the address of its keys has a user name, a port of its own or a fragment")
    return document


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return port in {None, 443} and "@" not in parts.netloc and "#" not in url


def _on_any_port(client: DocumentedClient) -> CIMDDocument | None:
    document = client.cimd_document
    if document is None:
        return None
    uris = [LOOPBACK_PORT.sub(r"\1:*", uri) if is_loopback(uri) else uri for uri in document.redirect_uris]
    return document.model_copy(update={"redirect_uris": uris})


def _is_outage(error: BaseException) -> bool:
    """Whether another attempt may succeed: no connection, no answer, no name server, too much to do, there or here."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx2.RequestError | TimeoutError | TooManyLookupsError | NoTurnError):
            return True
        if isinstance(cause, SSRFFetchError) and re.match(r"HTTP (429|5\d\d) ", str(cause)):
            return True
        if isinstance(cause, socket.gaierror):
            return cause.errno == socket.EAI_AGAIN
        cause = cause.__cause__
    return False
