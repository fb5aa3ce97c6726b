"""What the Functions host and the platform in front of it say of a request: its host name, and where it came from.

Threat: a client writes whatever headers it likes. Only what the platform itself has written counts: the *last* value of
`X-Forwarded-Host` and `X-Forwarded-For`, and only on requests that came through the Functions host. That host sends the
worker its own address as `Host`
(https://learn.microsoft.com/aspnet/core/fundamentals/servers/yarp/transforms#defaults).
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import Scope

INVOCATION_ID = "x-ms-invocation-id"
"""On every request from the Functions host, and on no other: the host never passes on one from outside."""

UNKNOWN = "unknown"


def requested_host(scope: Scope) -> str | None:
    """The host name that the client asked for, in lower case and without the port; None when there is not just one."""
    headers = Headers(scope=scope)
    named = _last(headers, "x-forwarded-host") if INVOCATION_ID in headers else None
    if named is None:
        hosts = headers.getlist("host")
        named = hosts[0] if len(hosts) == 1 else ""
    found = re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", named)
    return found[1].strip("[]").rstrip(".").lower() if found else None


class ClientAddress:
    """Finds out where a request came from.

    `header` is one that the platform writes, overwriting what the client sent: `CLIENT-IP` in Azure App Service.
    Without it, or when it is not there, the peer of the Functions host is meant, and without that host the
    connection's.
    """

    def __init__(self, *, header: str | None = None) -> None:
        self._header = header

    def __call__(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        found: str | None = None
        if INVOCATION_ID in headers:
            found = (_last(headers, self._header) if self._header else None) or _last(headers, "x-forwarded-for")
        elif scope.get("client"):
            found = scope["client"][0]
        return _address(found) if found else UNKNOWN


def network(address: str) -> str:
    """What one subscriber has for itself: the address, or with version 6 its first 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return UNKNOWN
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def _last(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    return (values[-1].rpartition(",")[2].strip() or None) if values else None


def _address(text: str) -> str:
    """The address without the port that App Service adds to it."""
    found = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", text)
    bare = (found[1] or found[2]) if found else text
    try:
        return str(ip_address(bare))
    except ValueError:
        return UNKNOWN
