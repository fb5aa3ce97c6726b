"""Resource indicators: whoever asks for a token for another server gets none (RFC 8707 section 2).

Threat: a token that a client believes to be another server's, or that another server takes for its own.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, override
from urllib.parse import urlsplit

from mcp.server.auth.handlers.token import TokenHandler

from entra_mcp.web.answers import NO_STORE, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

PARAMETER = "resource"
INVALID_TARGET = "invalid_target"
ITSELF_ALONE = "This server issues tokens for itself alone."


def foreign_resource(requested: Iterable[str], *, own: str) -> str | None:
    """Returns the first resource that is not this server; an empty one counts as none (RFC 6749 section 3.2)."""
    return next((resource for resource in requested if resource and not _same(resource, own)), None)


@dataclass
class OwnTokensHandler(TokenHandler):
    """The SDK's token endpoint, which takes the parameter without a look, whatever the grant."""

    _: KW_ONLY
    own_resource: str

    @override
    async def handle(self, request: Request) -> Response:  # pyright: ignore[reportIncompatibleMethodOverride] - any response will do
        # The request keeps what it has parsed for the next who asks.
        requested = map(str, (await request.form()).getlist(PARAMETER))
        if foreign_resource(requested, own=self.own_resource) is not None:
            return refusal(400, INVALID_TARGET, ITSELF_ALONE, headers=NO_STORE)
        return await super().handle(request)


def _same(requested: str, own: str) -> bool:
    """Whether a client means this server; some add a query, a fragment or a trailing slash to its address."""
    try:
        parts, others = urlsplit(requested), urlsplit(own)
    except ValueError:
        return False
    return (parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/")) == (
        others.scheme.lower(),
        others.netloc.lower(),
        others.path.rstrip("/"),
    )
