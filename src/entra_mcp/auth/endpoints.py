"""Puts what reads and checks requests before the handlers of OAuth, and what keeps answers to the form behind them."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from fastmcp.server.auth.cimd import ASSERTION_ALGORITHMS
from mcp.server.auth.handlers.metadata import MetadataHandler
from mcp.server.auth.middleware.client_auth import AuthenticationError
from mcp.server.auth.provider import TokenError
from mcp.server.auth.routes import build_metadata, create_protected_resource_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entra_mcp.auth.clients.metadata import registrable
from entra_mcp.auth.clients.redirects import problem_with
from entra_mcp.auth.parameters import (
    Parameters,
    RefusedRequestError,
    grants_of,
    read_form,
    required,
    strict,
    with_body,
)
from entra_mcp.known_clients import redirect_patterns
from entra_mcp.web.answers import NO_STORE, oauth_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import ContextVar

    from fastmcp.server.auth import OAuthProvider
    from mcp.server.auth.middleware.client_auth import ClientAuthenticator

    from entra_mcp.auth.clients.metadata import Narrow
    from entra_mcp.settings import Settings

    Handle = Callable[[Request], Awaitable[Response]]
    Read = Callable[[Request], Awaitable[Request]]

logger = logging.getLogger(__name__)

METADATA = "/.well-known/oauth-authorization-server"


class Endpoints:
    """Creates routes, and the requests that their handlers get to see.

    What the SDK's handlers would check in another way, scopes and redirect URIs of codes, is left out of those
    requests. The provider checks it, and finds it in `sent`.
    """

    def __init__(self, settings: Settings, *, own_resource: str, narrow: Narrow, sent: ContextVar[Parameters]) -> None:
        """`narrow` returns which scopes of those on offer a client gets for those that it asks for."""
        self._own_resource = own_resource
        self._grants = grants_of(settings)
        self._scopes = settings.offered_scopes
        self._narrow = narrow
        self._patterns = redirect_patterns(settings.allowed_redirect_uris)
        self._sent = sent

    def route(self, path: str, handle: Handle, read: Read | None = None, *, methods: list[str]) -> Route:
        """Returns a route whose handler gets what `read` returns for the request."""

        async def endpoint(request: Request) -> Response:
            try:
                response = await handle(request if read is None else await read(request))
            except RefusedRequestError as error:
                response = oauth_error(HTTPStatus.BAD_REQUEST, error.error, error.description, headers=NO_STORE)
            except TokenError as error:
                response = oauth_error(
                    HTTPStatus.BAD_REQUEST, error.error, error.error_description or "", headers=NO_STORE
                )
            except AuthenticationError as error:
                response = oauth_error(HTTPStatus.UNAUTHORIZED, "invalid_client", error.message, headers=NO_STORE)
            return strict(request, response)

        return Route(path, endpoint, methods=methods)

    async def authorization(self, request: Request) -> Request:
        sent = Parameters.read(request.url.query)
        uri = sent.values.get("redirect_uri")
        if uri is not None and (reason := problem_with(uri, self._patterns)) is not None:
            logger.warning("An authorization was refused: %s", reason)
            raise RefusedRequestError("invalid_request", reason)
        self._sent.set(sent)
        return Request({**request.scope, "query_string": sent.encoded(scope=None)}, request.receive)

    async def token(self, request: Request) -> Request:
        sent = await self._posted(request)
        sent.check_grant(self._grants)
        self._sent.set(sent)
        return with_body(request, sent.encoded(redirect_uri=None, scope=None))

    async def form(self, request: Request) -> Request:
        return with_body(request, (await self._posted(request)).encoded()) if request.method == "POST" else request

    async def registration(self, request: Request) -> Request:
        body = await request.body()
        metadata = registrable(body, scopes=self._scopes, narrow=self._narrow, patterns=self._patterns)
        return with_body(request, metadata)

    async def _posted(self, request: Request) -> Parameters:
        sent = await read_form(request)
        sent.check(own_resource=self._own_resource)
        return sent.identified(request.headers.get("authorization", ""))


def revocation(authenticator: ClientAuthenticator, revoke: Callable[[str, str], Awaitable[None]]) -> Handle:
    """Returns the handler of the revocation endpoint (RFC 7009); `revoke` takes a token and its client's id.

    The SDK's handler looks an access token up through what it stands for, the token of Entra ID, which names another
    client. Here the token itself shows whose it is, and the sign-in that it belongs to ends as a whole. Every client
    that may ask is answered 200, also for a token that never was one (section 2.2).
    """

    async def handle(request: Request) -> Response:
        client = await authenticator.authenticate_request(request)
        await revoke(await required(request, "token"), client.client_id or "")
        return Response(headers=NO_STORE)

    return handle


def metadata_routes(provider: OAuthProvider, settings: Settings) -> list[Route]:
    """Returns the routes of what clients read about the server (RFC 8414) and about its tools (RFC 9728).

    Each client is public at every endpoint. FastMCP has clients of the revocation endpoint present a secret, which none
    has, and gives the resource no name.
    """
    documents, issuer = settings.client_metadata_documents, cast("AnyHttpUrl", provider.issuer_url)
    metadata = build_metadata(
        cast("AnyHttpUrl", provider.base_url),
        provider.service_documentation_url,
        provider.client_registration_options or ClientRegistrationOptions(),
        provider.revocation_options or RevocationOptions(),
        supports_identity_assertion=bool(settings.identity_assertion_issuers),
    )
    metadata.issuer = issuer
    metadata.authorization_response_iss_parameter_supported = True
    metadata.client_id_metadata_document_supported = documents or None
    methods = ["none", "private_key_jwt"] if documents else ["none"]
    metadata.token_endpoint_auth_methods_supported = metadata.revocation_endpoint_auth_methods_supported = methods
    if documents:
        algorithms = sorted(ASSERTION_ALGORITHMS)
        metadata.token_endpoint_auth_signing_alg_values_supported = algorithms
        metadata.revocation_endpoint_auth_signing_alg_values_supported = algorithms
    return [
        Route(METADATA, MetadataHandler(metadata).handle, methods=["GET"]),
        *create_protected_resource_routes(
            AnyHttpUrl(settings.mcp_url), [issuer], provider.scopes_supported, resource_name=settings.server_name
        ),
    ]
