"""Which headers cross the host, in which direction.

Threat: the worker trusts what the host adds. A request from outside must not be able to bring its own invocation id,
nor the headers with which Azure's front end passes on identities and original addresses.

The real host also puts the request into a trace: that of the client, if it names one, with a span of the host's own
(https://www.w3.org/TR/trace-context/).

Kept from the client: names' order, duplicates and values. `Host` is the worker's own, and `X-Forwarded-For`, `-Host`
and `-Proto` are this host's alone, as the real host's forwarder, YARP with its defaults, has it
(https://learn.microsoft.com/aspnet/core/fundamentals/servers/yarp/transforms#defaults).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.host.process import Invocation

type HeaderList = list[tuple[bytes, bytes]]

TRACE_PARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, section 7.6.1: meant for the next hop only."""

_INTERNAL = re.compile(
    rb"(client-ip|disguised-host|was-default-hostname|x-original-url|x-rewrite-url)$|x-(ms|appservice|arr|waws)-"
)
"""Azure's own; outside of Azure nobody may speak for it."""

REPLACED = frozenset({b"host", b"traceparent", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})
"""Headers that only this host may send to the worker."""


def to_worker(headers: HeaderList, *, invocation: Invocation, client: str) -> HeaderList:
    dropped = _named_by_connection(headers) | REPLACED
    kept = [(name, value) for name, value in headers if not (name.lower() in dropped or _INTERNAL.match(name.lower()))]
    host = next((value for name, value in headers if name.lower() == b"host"), b"localhost")
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in headers)
    traced = _traced(headers)
    flags = traced[2].decode() if traced else "01"
    return [
        *kept,
        (b"host", b"127.0.0.1"),
        *([(b"transfer-encoding", b"chunked")] if chunked else []),
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", b"http"),
        (b"x-ms-invocation-id", invocation.id.encode()),
        (b"traceparent", f"00-{invocation.operation}-{invocation.span}-{flags}".encode()),
    ]


def to_client(headers: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    listed = list(headers)
    named = _named_by_connection(listed)
    kept = [(name, value) for name, value in listed if name.lower() not in named]
    if any(name.lower() == b"date" for name, _ in kept):
        return kept
    return [*kept, (b"date", formatdate(usegmt=True).encode())]


def operation_of(headers: HeaderList) -> str | None:
    """The trace that the request names, if it does."""
    found = _traced(headers)
    return found[1].decode() if found else None


def _traced(headers: HeaderList) -> re.Match[bytes] | None:
    return TRACE_PARENT.fullmatch(next((value for name, value in headers if name.lower() == b"traceparent"), b""))


def _named_by_connection(headers: HeaderList) -> frozenset[bytes]:
    tokens = (token for name, value in headers if name.lower() == b"connection" for token in value.split(b","))
    return HOP_BY_HOP | {token.strip().lower() for token in tokens}
