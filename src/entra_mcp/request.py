"""The request that the code runs for: what its answer, its log lines and its audit line share.

FastMCP answers many an exception as if the request were at fault: a storage that does not answer becomes 401, and the
client throws its tokens away. So whoever sees a dependency fail notes it here, and the edge of the application, which
sees the answer, can distinguish a refusal from an outage.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra_mcp.errors import DependencyError


@dataclass(slots=True)
class RequestScope:
    """One request, and what became known while it was served."""

    correlation_id: str
    """32 hexadecimal digits; the trace id of the Functions host when it sent one, so that its own logs match."""

    address: str
    """Where the request came from, as the platform saw it."""

    faults: list[DependencyError] = field(default_factory=list["DependencyError"])
    """The dependencies that failed."""

    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    """Stored rows that the request has to do with, by collection; the audit log finds person and client in them."""

    recorded: bool = False
    """Whether the audit log has a line for what the request did."""

    bearer: tuple[str, dict[str, Any]] | None = None
    """The access token of this server that was verified for the request, and its claims."""


REQUEST: ContextVar[RequestScope | None] = ContextVar("request", default=None)
"""The request that this code, and the tasks that it starts, run for; None outside of one."""
