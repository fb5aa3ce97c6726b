"""What every request passes before it reaches the application, and every answer on its way back.

Reading each function from bottom to top follows a request inwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.routing import Route, Router

from entra_mcp.urls import is_loopback
from entra_mcp.web.admission import Admission
from entra_mcp.web.body_limit import BodyLimit, MessageCheck, UnreadBody
from entra_mcp.web.cors import Cors
from entra_mcp.web.edge import Edge
from entra_mcp.web.error_answers import ErrorAnswers
from entra_mcp.web.exchange_queue import ExchangeQueue
from entra_mcp.web.pages.layout import Brand
from entra_mcp.web.paths import CONSENT, MCP
from entra_mcp.web.rate_limits import RegistrationThrottle, TokenBuckets
from entra_mcp.web.time_limits import RequestDeadline, SilenceLimit

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from entra_mcp.settings import Settings
    from entra_mcp.web.step_up import StepUp

BODY_SECONDS = 60.0
"""How long a request's body may take to arrive, over a slow mobile connection too."""

DISCARDED_SECONDS = 10.0
"""How long the rest of a body is read that nobody wants, so that its sender gets the answer."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

PLATFORM_ADDRESS_HEADER = "client-ip"
"""Written by the front end of Azure App Service, which overwrites what a client sends
(https://github.com/Azure/app-service-linux-docs/blob/master/Things_You_Should_Know/headers.md).
"""


def protect(app: ASGIApp, *, settings: Settings, brand: Brand, step_up: StepUp | None = None) -> ASGIApp:
    """Returns the application behind all of its middleware. Calls and sign-ins each pass what concerns them alone.

    `step_up` looks at each call of a tool, where tools name scopes of their own.
    """
    own_origin = settings.base_url.lower()
    calls = Route(MCP, _calls(app, settings, step_up))
    app = Router([calls], default=_sign_ins(app, settings), redirect_slashes=False)
    app = Admission(
        app,
        hosts=_hosts(settings),
        origins={MCP: {own_origin, *settings.allowed_origins}, CONSENT: {own_origin}},
    )
    app = ErrorAnswers(RequestDeadline(app), brand=brand)
    app = Edge(app, https=settings.base_url.startswith("https:"), address_header=_address_header(settings))
    return UnreadBody(app, seconds=DISCARDED_SECONDS)


def _calls(app: ASGIApp, settings: Settings, step_up: StepUp | None) -> ASGIApp:
    """What a call passes."""
    app = BodyLimit(
        SilenceLimit(app),
        max_bytes=settings.mcp_body_limit,
        seconds=BODY_SECONDS,
        # Who is calling is known before the body is read.
        on_demand=True,
        check=MessageCheck(max_values=settings.message_values_limit, step_up=step_up),
    )
    return Cors(app, mcp_origins=settings.allowed_origins) if settings.allowed_origins else app


def _sign_ins(app: ASGIApp, settings: Settings) -> ASGIApp:
    """What every other request passes: registrations, sign-ins, metadata and pages."""
    app = ExchangeQueue(SilenceLimit(app))
    app = BodyLimit(app, max_bytes=settings.oauth_body_limit, seconds=BODY_SECONDS)
    if settings.auth_mode.signs_in:
        app = RegistrationThrottle(
            app,
            by_network=TokenBuckets(per_minute=settings.registrations_per_minute),
            overall=TokenBuckets(per_minute=settings.registrations_per_minute_overall),
        )
    return Cors(app, mcp_origins=())


def protect_without_settings(app: ASGIApp) -> ASGIApp:
    """Returns an application that answers in place of the server, as far as it can be protected without settings."""
    app = ErrorAnswers(app, brand=Brand(name="MCP server"))
    app = Edge(app, https=False)
    return UnreadBody(app, seconds=DISCARDED_SECONDS)


def _hosts(settings: Settings) -> set[str]:
    """The names of this server; on one's own machine it has several, and none that a site on the internet can take."""
    hosts = {urlsplit(settings.base_url).hostname or "", *settings.allowed_hosts}
    if settings.website_hostname:
        hosts.add(urlsplit(f"//{settings.website_hostname}").hostname or "")
    return hosts | set(LOOPBACK_NAMES if is_loopback(settings.base_url) else ())


def _address_header(settings: Settings) -> str | None:
    in_azure = settings.website_hostname is not None and not is_loopback(f"//{settings.website_hostname}")
    return settings.client_address_header or (PLATFORM_ADDRESS_HEADER if in_azure else None)
