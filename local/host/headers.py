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
import secrets
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.host.process import Invocation

type HeaderList = list[tuple[bytes, bytes]]

TRACE_PARENT = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")

HOP_BY_HOP = (
    rb"connection|keep-alive|proxy-(authenticate|authorization|connection)|te|trailer|transfer-encoding|upgrade"
)
"""RFC 9110, section 7.6.1: meant for the next hop only."""
INTERNAL = rb"client-ip|disguised-host|was-default-hostname|x-original-url|x-rewrite-url|x-(ms|appservice|arr|waws)-.*"
"""Azure's own; outside of Azure nobody may speak for it."""
REPLACED = rb"host|traceparent|x-forwarded-(for|host|proto)"
"""Headers that only this host may send to the worker."""

_NOT_TO_WORKER = re.compile(b"|".join((HOP_BY_HOP, INTERNAL, REPLACED)), re.IGNORECASE)
_NOT_TO_CLIENT = re.compile(HOP_BY_HOP, re.IGNORECASE)


def to_worker(headers: HeaderList, *, invocation: Invocation, client: str) -> HeaderList:
    host = next((value for name, value in headers if name.lower() == b"host"), b"localhost")
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in headers)
    return [
        *_without(headers, _NOT_TO_WORKER),
        (b"host", b"127.0.0.1"),
        *([(b"transfer-encoding", b"chunked")] if chunked else []),
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", b"http"),
        (b"x-ms-invocation-id", invocation.id.encode()),
        (b"traceparent", f"00-{invocation.operation}-{invocation.span}-{invocation.flags}".encode()),
    ]


def to_client(headers: HeaderList) -> HeaderList:
    kept = _without(headers, _NOT_TO_CLIENT)
    if any(name.lower() == b"date" for name, _ in kept):
        return kept
    return [*kept, (b"date", formatdate(usegmt=True).encode())]


def traced(headers: HeaderList) -> tuple[str, str]:
    """The operation and the flags of the trace that the request names, or of a new one."""
    named = next((value for name, value in headers if name.lower() == b"traceparent"), b"")
    found = TRACE_PARENT.fullmatch(named.decode("latin-1"))
    return (found[1], found[2]) if found else (secrets.token_hex(16), "01")


def _without(headers: HeaderList, dropped: re.Pattern[bytes]) -> HeaderList:
    """Without those, and without what the client or the worker names in `Connection`."""
    listed = (token for name, value in headers if name.lower() == b"connection" for token in value.split(b","))
    named = {token.strip().lower() for token in listed}
    return [(name, value) for name, value in headers if name.lower() not in named and not dropped.fullmatch(name)]
