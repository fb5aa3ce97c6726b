"""The authorization server in front of Entra ID: FastMCP's `AzureProvider`, hardened for this server.

Each override closes one gap of the provider; what it needs for that is in a module of its own.
"""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast, override
from urllib.parse import urlencode, urlsplit

from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from fastmcp.server.auth.providers.azure import AzureProvider
from joserfc.errors import JoseError
from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.provider import AuthorizeError, TokenError
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from pydantic import AnyHttpUrl

from entra_mcp import audit
from entra_mcp.audit import Event
from entra_mcp.auth.callback import CallbackEndpoint
from entra_mcp.auth.clients.documents import DocumentedClientAuthenticator
from entra_mcp.auth.clients.redirects import is_allowed
from entra_mcp.auth.consent import ConsentEndpoint, hints_of
from entra_mcp.auth.consent_cookies import ConsentCookies
from entra_mcp.auth.endpoints import Endpoints, metadata_routes, revocation
from entra_mcp.auth.issuer import ACCESS, REFRESH, RingIssuer, UnknownKeyError
from entra_mcp.auth.parameters import Parameters, RefusedRequestError, grants_of, narrowed
from entra_mcp.auth.sign_ins import SignIns
from entra_mcp.auth.single_use import CODE
from entra_mcp.errors import DependencyError
from entra_mcp.known_clients import redirect_patterns
from entra_mcp.request import REQUEST, record_failure
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.urls import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmcp.server.auth import AccessToken
    from key_value.aio.protocols import AsyncKeyValue
    from mcp.server.auth.provider import AuthorizationCode, AuthorizationParams, RefreshToken
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
    from starlette.routing import Route

    from entra_mcp.auth.clients.documents import ClientDocuments
    from entra_mcp.auth.endpoints import Handle
    from entra_mcp.auth.entra.on_behalf_of import OnBehalfOfCredentials, PersonCredential
    from entra_mcp.auth.entra.upstream import EntraOAuthClient
    from entra_mcp.auth.entra.verifier import EntraTokenVerifier
    from entra_mcp.auth.identity_assertions import IdentityAssertions
    from entra_mcp.auth.single_use import SingleUse
    from entra_mcp.settings import Settings
    from entra_mcp.vault.keys import KeySource
    from entra_mcp.web.pages.layout import Brand

MIN_REMAINING_SECONDS = 2
"""How long a sign-in has to last yet to be refreshed: the provider gives every successor at least a second more."""

SIGNED_OUT = "its client signed out"

logger = logging.getLogger(__name__)


class EntraProvider(AzureProvider):
    """Registers clients, asks people for consent, and lets Entra ID sign them in."""

    def __init__(
        self,
        *,
        settings: Settings,
        brand: Brand,
        keys: KeySource,
        storage: AsyncKeyValue,
        rows: AsyncKeyValue,
        single_use: SingleUse,
        upstream: EntraOAuthClient,
        on_behalf_of: OnBehalfOfCredentials,
        verifier: EntraTokenVerifier,
        documents: ClientDocuments | None,
        assertions: IdentityAssertions | None,
    ) -> None:
        """`storage` knows the running request and exchange, which a call needs neither of: it reads `rows`."""
        super().__init__(
            client_id=settings.client_id,
            tenant_id=settings.tenant_id,
            required_scopes=list(settings.required_scopes),
            additional_authorize_scopes=list(settings.additional_scopes),
            identifier_uri=settings.identifier_uri,
            base_authority=settings.authority,
            base_url=settings.base_url,
            allowed_client_redirect_uris=redirect_patterns(settings.allowed_redirect_uris),
            client_storage=storage,
            jwt_signing_key=keys.ring.newest.material,
            require_authorization_consent=True,
            enable_cimd=False,
            fallback_refresh_token_expiry_seconds=settings.refresh_token_days * 86400,
            fastmcp_access_token_expiry_seconds=settings.access_token_minutes and settings.access_token_minutes * 60,
        )
        self._settings = settings
        self._brand = brand
        self._scopes = settings.offered_scopes
        self.update_default_scopes(list(self._scopes))
        self._resource = str(AnyHttpUrl(settings.mcp_url))
        self._narrow = partial(narrowed, required=settings.required_scopes, prefix=f"{self.identifier_uri}/")
        self._sent: ContextVar[Parameters] = ContextVar("sent")
        self._granted: ContextVar[Sequence[str]] = ContextVar("granted")
        self._redirect_patterns = redirect_patterns(settings.allowed_redirect_uris)
        self._keys = keys
        self._storage = storage
        self._rows = rows
        self._single_use = single_use
        self._cookies = ConsentCookies(keys)
        self._upstream = upstream
        self._on_behalf_of = on_behalf_of
        # The provider builds a verifier that pins one issuer, which `organizations` and `consumers` do not have.
        self._token_validator = self._verifier = verifier
        self._documents = documents
        self._grants = grants_of(settings)
        self._assertions = assertions
        self.sign_ins = SignIns(storage, verifier, assertions, refresh=self._try_transparent_refresh)
        self.revocation_options = RevocationOptions(enabled=True)

    # What this server signs

    @cached_property
    @override
    def jwt_issuer(self) -> RingIssuer:  # pyright: ignore[reportIncompatibleMethodOverride] - a property too, which is asked twice for each call
        return RingIssuer(
            issuer=str(self.issuer_url),
            audience=self._resource,
            source=self._keys,
            sign_in=self._single_use.sign_in,
        )

    @property
    @override
    def scopes_supported(self) -> list[str]:
        return list(self._scopes)

    @override
    def _sign_cookie(self, payload: str) -> str:
        return self._cookies.sign(payload)

    @override
    def _verify_cookie(self, signed_value: str) -> str | None:
        return self._cookies.verify(signed_value)

    # Clients

    @override
    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """Returns a registered client, which may use the redirect URIs that it registered (OAuth 2.1 section 2.3.1).

        The provider would admit the Entra application's own id as a client that nobody registered, and let a client
        that registered one redirect URI use any other on the allow-list.
        """
        request = REQUEST.get()
        if request is not None:
            request.client_id = client_id
        if client_id == self._settings.client_id:
            return None
        if self._documents is not None and self._documents.is_cimd_client_id(client_id):
            return await self._documents.get_client(client_id)
        client = await super().get_client(client_id)
        if isinstance(client, ProxyDCRClient):
            allowed = [uri for uri in client.redirect_uris or [] if is_allowed(str(uri), self._redirect_patterns)]
            if not allowed:
                return None
            client.redirect_uris, client.allowed_redirect_uri_patterns = allowed, None
            # What the settings offer may have changed since the registration.
            client.scope, client.grant_types = " ".join(self._scopes), list(self._grants)
        return client

    @override
    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        await super().register_client(client_info)
        audit.record(
            Event.REGISTRATION,
            client_id=client_info.client_id,
            client_name=client_info.client_name or "",
            redirect_hosts=sorted(
                {urlsplit(str(uri)).netloc or str(uri).partition(":")[0] for uri in client_info.redirect_uris or ()}
            ),
        )

    @override
    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        """Refuses what the provider takes without a look, now that the client may hear of it at its redirect URI."""
        sent = self._sent.get()
        try:
            sent.check(own_resource=self._resource)
            sent.check_challenge()
            params.scopes = self._narrowed(self._scopes)
        except RefusedRequestError as error:
            raise AuthorizeError(error.error, error.description) from error  # pyright: ignore[reportArgumentType] - the SDK's list of codes lacks those of other specifications
        # The hints stay in the address of the consent page: the transaction has no place for them.
        hints = urlencode(hints_of(sent.values))
        return await super().authorize(client, params) + (f"&{hints}" if hints else "")

    # Codes and tokens

    @override
    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        """Returns a code that the client may redeem; a client of OAuth 2.1 leaves its redirect URI out here."""
        found = await super().load_authorization_code(client, authorization_code)
        uri = self._sent.get().values.get("redirect_uri")
        if found is None or (uri is not None and canonical(uri) != str(found.redirect_uri)):
            return None
        found.redirect_uri_provided_explicitly = False
        return found

    @override
    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        exchange = super().exchange_authorization_code
        self._granted.set(authorization_code.scopes)
        code = authorization_code.code
        return await self._single_use.redeem(CODE, code, lambda: exchange(client, authorization_code))

    @override
    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        if await self._genuine(refresh_token, use=REFRESH) is None:
            return None
        return await super().load_refresh_token(client, refresh_token)

    @override
    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        exchange = super().exchange_refresh_token
        expires_in = (refresh_token.expires_at or 0) - time.time()
        if expires_in < MIN_REMAINING_SECONDS:
            raise TokenError("invalid_grant", "The sign-in has ended.")
        granted = refresh_token.scopes
        try:
            scopes = self._narrowed(granted) or granted
        except RefusedRequestError as error:
            raise TokenError("invalid_scope", error.description) from error
        self._granted.set(scopes)
        return await self._single_use.rotate(
            refresh_token, lambda: exchange(client, refresh_token, scopes), expires_in=expires_in
        )

    @override
    async def load_access_token(self, token: str) -> AccessToken | None:
        """Returns what an access token stands for, or None when it is not good.

        It is None while storage is out of reach, too: the failure that was recorded distinguishes the two, and does not
        keep a public page from whoever asks for it with a token.

        Raises:
            SigningKeysError: the token of Entra ID behind it cannot be verified now.
        """
        claims = await self._genuine(token, use=ACCESS)
        if claims is None:
            return None
        try:
            stored = await self._rows.get(claims["sid"], collection=UPSTREAM_TOKENS)
        except DependencyError as error:
            record_failure(error)
            return None
        if stored is None:
            return None
        if (request := REQUEST.get()) is not None:
            request.rows[UPSTREAM_TOKENS] = stored
        found = self._assertions.caller(stored, token=token) if self._assertions is not None else None
        found = found or await self._verifier.verify_token(str(stored.get("access_token")))
        if found is None:
            # The provider gets the next one, if it can be had.
            found = cast("AccessToken | None", await super().load_access_token(token))
            if found is None:
                return None
        elif upstream_claims := stored.get("upstream_claims"):
            # Where the provider has them, for who reads them as FastMCP's guides do.
            found.claims["upstream_claims"] = upstream_claims
        # All clients are one application to Entra ID, whose token has what the person allowed any of them.
        granted = claims["scope"].split()
        found.scopes = [scope for scope in found.scopes if scope in granted]
        found.claims["scp"] = " ".join(found.scopes)
        return found

    async def revoke_sign_in(self, token: str, client_id: str) -> None:
        """Ends the sign-in of an access or refresh token, if it is the client's own."""
        for use in (REFRESH, ACCESS):
            claims = await self._genuine(token, use=use)
            if claims is None or claims["client_id"] != client_id:
                continue
            # Read for the audit line alone, which is to name the person.
            await self._storage.get(claims["sid"], collection=UPSTREAM_TOKENS)
            await self._single_use.revoke({"token_set": claims["sid"]}, because=SIGNED_OUT)

    async def _genuine(self, token: str, *, use: str) -> dict[str, Any] | None:
        """Claims of a token that this server issued; for one under an unknown key it looks for newer keys first.

        Raises:
            VaultError: it names an unknown key, and the vault does not answer.
        """
        for reread in (True, False):
            try:
                return self.jwt_issuer.verify_token(token, expected_token_use=use)
            except UnknownKeyError:
                if reread:
                    await self._keys.reread()
            except (JoseError, ValueError):
                return None
        return None

    # Entra ID

    @override
    def _create_upstream_oauth_client(self) -> EntraOAuthClient:  # pyright: ignore[reportIncompatibleMethodOverride] - any object with these methods will do
        return self._upstream

    @override
    def _translate_scopes_from_idp(self, scopes: list[str]) -> list[str]:
        translated = super()._translate_scopes_from_idp(scopes)
        granted = self._granted.get(None)
        return translated if granted is None else [scope for scope in translated if scope in granted]

    @override
    async def get_obo_credential(self, user_assertion: str) -> PersonCredential:  # pyright: ignore[reportIncompatibleMethodOverride] - what exchanges the token need not be azure-identity's own class
        return self._on_behalf_of.of_person(user_assertion)

    @override
    async def close_obo_credentials(self) -> None:
        await self._on_behalf_of.close()

    # Routes

    @override
    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        authenticator = ClientAuthenticator(self)
        if self._documents is not None:
            authenticator = DocumentedClientAuthenticator(
                provider=self, cimd_manager=self._documents, token_endpoint_url=self.token_endpoint_url
            )
        # FastMCP's own answers 401 to a bad code or refresh token, where RFC 6749 section 5.2 says 400.
        token: Handle = TokenHandler(provider=self, client_authenticator=authenticator).handle
        if self._assertions is not None:
            token = self._assertions.endpoint(
                authenticator, narrow=self._narrowed, issuer=self.jwt_issuer, otherwise=token
            )
        revoke = revocation(authenticator, self.revoke_sign_in)
        registration = RegistrationHandler(self, self.client_registration_options or ClientRegistrationOptions())
        routes = super().get_routes(mcp_path)
        endpoints = Endpoints(self._settings, own_resource=self._resource, narrow=self._narrow, sent=self._sent)
        given = {route.path: route.endpoint for route in routes}
        consent = ConsentEndpoint(
            given["/consent"],
            settings=self._settings,
            brand=self._brand,
            storage=self._storage,
            get_client=self.get_client,
            app=self._verifier.app,
            permissions=self.additional_authorize_scopes or (),
        )
        callback = CallbackEndpoint(given["/auth/callback"], brand=self._brand, rows=self._rows)
        # No route takes OPTIONS, which the SDK's would handle like a POST and no limit on POSTs would see. Preflights
        # have been answered before (`web/cors.py`).
        checked = [
            *metadata_routes(self, self._settings),
            endpoints.route("/authorize", given["/authorize"], endpoints.authorization, methods=["GET"]),
            endpoints.route("/token", token, endpoints.token, methods=["POST"]),
            endpoints.route("/revoke", revoke, endpoints.form, methods=["POST"]),
            endpoints.route("/register", registration.handle, endpoints.registration, methods=["POST"]),
            endpoints.route("/consent", consent.handle, endpoints.form, methods=["GET", "POST"]),
            endpoints.route("/auth/callback", callback.handle, methods=["GET"]),
        ]
        by_path = {route.path: route for route in checked}
        return [by_path.get(route.path, route) for route in routes]

    def _narrowed(self, offered: Sequence[str]) -> list[str] | None:
        """Returns what the client asked for and may have, and what every call needs; None when it asked for nothing."""
        return self._narrow(self._sent.get().values.get("scope"), offered)
