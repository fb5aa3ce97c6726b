"""Puts the auth provider together, for the mode of the settings."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entra_mcp.auth.clients.documents import ClientDocuments
from entra_mcp.auth.clients.fetches import ClientFetches
from entra_mcp.auth.entra.app import EntraApp
from entra_mcp.auth.entra.applications import ApplicationVerifier, PeopleAndApplications
from entra_mcp.auth.entra.credential import AssertionCredential, SecretCredential
from entra_mcp.auth.entra.on_behalf_of import OnBehalfOfCredentials
from entra_mcp.auth.entra.upstream import EntraOAuthClient
from entra_mcp.auth.entra.verifier import EntraTokenVerifier
from entra_mcp.auth.identity_assertions import IdentityAssertions
from entra_mcp.auth.provider import EntraProvider
from entra_mcp.auth.proxy_store import ProxyStore
from entra_mcp.auth.single_use import SingleUse
from entra_mcp.settings import AuthMode
from entra_mcp.web.rate_limits import TokenBuckets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx2
    from azure.core.credentials_async import AsyncTokenCredential
    from fastmcp.server.auth import AuthProvider

    from entra_mcp.auth.entra.credential import ClientCredential
    from entra_mcp.settings import Settings
    from entra_mcp.storage.cache import CachedStore
    from entra_mcp.storage.ledger import Ledger
    from entra_mcp.telemetry import Metrics
    from entra_mcp.vault.rotation import CurrentSecrets
    from entra_mcp.web.pages.layout import Brand

DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaborators:
    """What the auth provider is built on."""

    secrets: CurrentSecrets
    store: CachedStore
    ledger: Ledger
    verifier: EntraTokenVerifier
    identity: AsyncTokenCredential
    http_client: httpx2.AsyncClient
    metrics: Metrics
    brand: Brand


def create_verifier(settings: Settings, *, http_client: httpx2.AsyncClient) -> EntraTokenVerifier:
    """Returns what verifies the tokens that Entra ID issues for this server.

    Where clients bring such tokens themselves, the provider looks for the scopes: a token without them is good, and the
    answer is 403 (RFC 6750 section 3.1).
    """
    return EntraTokenVerifier(
        EntraApp.of(settings),
        required_scopes=list(settings.required_scopes) if settings.auth_mode.signs_in else [],
        http_client=http_client,
    )


@asynccontextmanager
async def open_auth(settings: Settings, parts: Collaborators) -> AsyncGenerator[AuthProvider]:
    """Yields the auth provider: for people, and where the settings say so, for applications too."""
    async with _open_people_auth(settings, parts) as people:
        if not settings.allowed_app_roles:
            yield people
            return
        app = parts.verifier.app
        applications = ApplicationVerifier(
            app,
            roles=settings.allowed_app_roles,
            scopes=settings.required_scopes,
            http_client=parts.http_client,
            public_keys=parts.verifier.public_keys,
        )
        yield PeopleAndApplications(people, applications=applications, issuers=app.issuers)


@asynccontextmanager
async def _open_people_auth(settings: Settings, parts: Collaborators) -> AsyncGenerator[AuthProvider]:
    """Yields the auth provider of the mode: the proxy in front of Entra ID, or verification alone."""
    app = parts.verifier.app
    if not settings.auth_mode.signs_in:
        from fastmcp.server.auth import RemoteAuthProvider
        from pydantic import AnyHttpUrl

        yield RemoteAuthProvider(
            token_verifier=parts.verifier,
            authorization_servers=[AnyHttpUrl(app.issuer(app.tenant_id))],
            base_url=settings.base_url,
            resource_name=settings.server_name,
            required_scopes=list(settings.required_scopes),
            challenge_scopes=parts.verifier.get_challenge_scopes(list(settings.required_scopes)),
            scopes_supported=parts.verifier.get_challenge_scopes(list(settings.offered_scopes)),
        )
        return
    proof = _client_credential(settings, parts)
    on_behalf_of = OnBehalfOfCredentials(app=app, proof=proof)
    fetches = ClientFetches(
        by_network=TokenBuckets(per_minute=settings.registrations_per_minute),
        overall=TokenBuckets(per_minute=settings.registrations_per_minute_overall),
    )
    storage = ProxyStore(parts.store, registration_seconds=settings.registration_days * DAY_SECONDS)
    single_use = SingleUse(
        ledger=parts.ledger,
        store=storage,
        metrics=parts.metrics,
        grace_seconds=settings.refresh_grace_seconds,
    )
    documents = assertions = None
    if settings.client_metadata_documents:
        documents = ClientDocuments(settings, fetches=fetches, ledger=parts.ledger)
    if settings.identity_assertion_issuers:
        assertions = IdentityAssertions(
            settings=settings, app=app, storage=storage, single_use=single_use, http_client=parts.http_client
        )
    try:
        yield EntraProvider(
            settings=settings,
            brand=parts.brand,
            keys=parts.secrets,
            storage=storage,
            rows=parts.store,
            single_use=single_use,
            upstream=EntraOAuthClient(
                client_id=app.client_id,
                credential=proof,
                verifier=parts.verifier,
                http_client=parts.http_client,
                metrics=parts.metrics,
            ),
            on_behalf_of=on_behalf_of,
            verifier=parts.verifier,
            documents=documents,
            assertions=assertions,
        )
    finally:
        fetches.close()
        await on_behalf_of.close()


def _client_credential(settings: Settings, parts: Collaborators) -> ClientCredential:
    if settings.auth_mode is AuthMode.FEDERATED:
        return AssertionCredential(identity=parts.identity, audience=settings.assertion_audience)
    return SecretCredential(current=parts.secrets.client_secret, reread=parts.secrets.reread)
