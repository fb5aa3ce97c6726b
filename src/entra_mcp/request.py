"""The request that the code runs for: what its answer, its log lines and its audit line share.

FastMCP answers many an exception as if the request were at fault: a storage that does not answer becomes 401, and the
client throws its tokens away. So whoever sees a dependency fail notes it here, and the edge of the application, which
sees the answer, can distinguish a refusal from an outage.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from entra_mcp.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from starlette.datastructures import Headers

    from entra_mcp.patience import Patience
    from entra_mcp.web.exchange_queue import Turn


UNKNOWN = "unknown"
"""Where a request came from of which the platform does not say it."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """By when a request has to be answered, wherever its time goes: upload, queues, storage, the tool, the stream."""

    at: float
    """On the clock of the event loop."""

    seconds: float
    """Since the request began."""

    @property
    def has_passed(self) -> bool:
        return asyncio.get_running_loop().time() >= self.at


@dataclass(slots=True)
class RequestScope:
    """One request, and what became known while it was served."""

    correlation_id: str
    """32 hexadecimal digits; the trace id of the Functions host when it sent one, so that its own logs match."""

    address: str
    """Where the request came from, as the platform saw it."""

    host: str | None = None
    """The host name that the client asked for, in lower case and without the port; None when there is not just one."""

    failures: list[DependencyError] = field(default_factory=list[DependencyError])
    """The dependencies that failed."""

    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    """Stored rows that the request has to do with, by collection; the audit log finds person and client in them."""

    known: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict[tuple[str, str], "Mapping[str, Any]"])
    """What storage need not be asked for, by collection and key: it came with the request, signed, or was read."""

    client_id: str | None = None
    """The client that the request names, which may not exist."""

    recorded: bool = False
    """Whether the audit log has a line for what the request did."""

    answer: Headers | None = None
    """Headers of the answer, once the application has begun it."""

    deadline: Deadline | None = None

    silence: Patience | None = None
    """What ends the request when something else does not answer it; None once it has what it waited for."""

    turn: Turn | None = None
    """The place of an exchange among those that go on at once."""

    advice: str | None = None
    """What a person gets to read whom Entra ID, or this server after it, did not let in."""

    bearer: tuple[str, dict[str, Any]] | None = None
    """The token of this server that was verified for the request, and its claims."""

    @property
    def network(self) -> str:
        """What one subscriber has for itself: the address, or with version 6 its first 64 bits."""
        try:
            parsed = ip_address(self.address)
        except ValueError:
            return UNKNOWN
        if not isinstance(parsed, IPv6Address):
            return str(parsed)
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


REQUEST: ContextVar[RequestScope | None] = ContextVar("request", default=None)
"""The request that this code, and the tasks that it starts, run for; None outside of one."""


def asking_network() -> str:
    """The network that the running request came from."""
    request = REQUEST.get()
    return request.network if request else UNKNOWN


def record_failure(error: DependencyError) -> None:
    """Adds what failed to the running request; outside of a request it is noted nowhere."""
    request = REQUEST.get()
    if request is not None:
        request.failures.append(error)


class recording_failures(AbstractContextManager[object]):  # noqa: N801 - used like the functions of contextlib
    """Notes a dependency error that leaves its block, and lets it go on.

    Written out, since a context manager from a generator breaks the SDK's errors, which are frozen.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DependencyError):
            record_failure(error)
