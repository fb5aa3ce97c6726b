"""Puts what reads and checks requests before the handlers of OAuth, and what keeps answers to the form behind them."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from fastmcp.server.auth.cimd import ASSERTION_ALGORITHMS
from mcp.server.auth.handlers.metadata import MetadataHandler
from mcp.server.auth.routes import build_metadata, create_protected_resource_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.routing import Route

from entra_mcp.auth.clients.metadata import registrable
from entra_mcp.auth.clients.redirects import problem_with
from entra_mcp.auth.parameters import Parameters, RefusedRequestError, read_form, strict, with_body
from entra_mcp.web.answers import NO_STORE, oauth_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextvars import ContextVar

    from fastmcp.server.auth import OAuthProvider
    from starlette.responses import Response

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

    def __init__(
        self,
        *,
        own_resource: str,
        scopes: Sequence[str],
        narrow: Narrow,
        patterns: Sequence[str],
        grants: Sequence[str],
        sent: ContextVar[Parameters],
    ) -> None:
        """`narrow` is for registrations, as `clients.metadata.registrable` has it."""
        self._own_resource = own_resource
        self._grants = grants
        self._scopes = scopes
        self._narrow = narrow
        self._patterns = patterns
        self._sent = sent

    def route(self, path: str, handle: Handle, read: Read | None = None, *, methods: list[str]) -> Route:
        """Returns a route whose handler gets what `read` returns for the request."""

        async def endpoint(request: Request) -> Response:
            try:
                response = await handle(request if read is None else await read(request))
            except RefusedRequestError as error:
                response = oauth_error(HTTPStatus.BAD_REQUEST, error.error, error.description, headers=NO_STORE)
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
