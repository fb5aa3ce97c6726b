"""What every request passes before it reaches the application, and every answer on its way back.

Reading `protect` from bottom to top follows a request inwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from entra_mcp.urls import is_loopback
from entra_mcp.web.allowed_hosts import AllowedHosts
from entra_mcp.web.allowed_origins import AllowedOrigins
from entra_mcp.web.body_limit import BodyLimit
from entra_mcp.web.buckets import TokenBuckets
from entra_mcp.web.cors import Cors
from entra_mcp.web.error_answers import ErrorAnswers
from entra_mcp.web.forwarded import ClientAddress
from entra_mcp.web.lenience import Lenience
from entra_mcp.web.paths import MCP
from entra_mcp.web.refusals import RefusalAudit
from entra_mcp.web.registration_throttle import RegistrationThrottle
from entra_mcp.web.security_headers import SecurityHeaders
from entra_mcp.web.session_header import SessionHeader
from entra_mcp.web.tracing import Tracing

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from entra_mcp.audit import Audit
    from entra_mcp.settings import Settings

BODY_SECONDS = 60.0
"""How long a request's body may take to arrive: 4 MiB over a slow mobile connection."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

PLATFORM_ADDRESS_HEADER = "client-ip"
"""Written by the front end of Azure App Service, which overwrites what a client sends
(https://github.com/Azure/app-service-linux-docs/blob/master/Things_You_Should_Know/headers.md).
"""


def protect(app: ASGIApp, *, settings: Settings, audit: Audit) -> ASGIApp:
    """Returns the application behind all of its middleware."""
    own_origin = settings.base_url.lower()
    address = ClientAddress(header=_address_header(settings))
    app = SessionHeader(app)
    app = BodyLimit(
        app, max_bytes=settings.oauth_body_limit, streamed={MCP: settings.mcp_body_limit}, seconds=BODY_SECONDS
    )
    if settings.auth_mode.signs_in:
        app = RegistrationThrottle(
            app,
            by_address=TokenBuckets(per_minute=settings.registrations_per_minute),
            overall=TokenBuckets(per_minute=settings.registrations_per_minute_overall),
            address=address,
        )
    app = Cors(app, mcp_origins=settings.allowed_origins)
    app = AllowedOrigins(app, origins={MCP: {own_origin, *settings.allowed_origins}, "/consent": {own_origin}})
    app = AllowedHosts(app, hosts=_hosts(settings))
    app = RefusalAudit(app, audit=audit)
    app = ErrorAnswers(app, server_name=settings.server_name)
    app = SecurityHeaders(app, https=settings.base_url.startswith("https:"))
    app = Lenience(app)
    return Tracing(app, address=address)


def protect_without_settings(app: ASGIApp) -> ASGIApp:
    """Returns an application that answers in place of the server, as far as it can be protected without settings."""
    app = ErrorAnswers(app, server_name="MCP server")
    app = SecurityHeaders(app, https=False)
    return Tracing(app, address=ClientAddress())


def _hosts(settings: Settings) -> set[str]:
    """The names of this server; on one's own machine it has several, and none that a site on the internet can take."""
    hosts = {urlsplit(settings.base_url).hostname or "", *settings.allowed_hosts}
    if settings.website_hostname:
        hosts.add(urlsplit(f"//{settings.website_hostname}").hostname or "")
    return hosts | set(LOOPBACK_NAMES if is_loopback(settings.base_url) else ())


def _address_header(settings: Settings) -> str | None:
    in_azure = settings.website_hostname is not None and not is_loopback(f"//{settings.website_hostname}")
    return settings.client_address_header or (PLATFORM_ADDRESS_HEADER if in_azure else None)
