"""Resource indicators: whoever asks for a token for another server gets none (RFC 8707 section 2).

Threat: a token that a client believes to be another server's, or that another server takes for its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

RESOURCE = "resource"
INVALID_TARGET = "invalid_target"
ITSELF_ALONE = "This server issues tokens for itself alone."


def foreign_resource(requested: Iterable[str], *, own: str) -> str | None:
    """Returns the first resource that is not this server."""
    return next((resource for resource in requested if not _same(resource, own)), None)


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
