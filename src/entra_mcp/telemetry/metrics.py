"""What the server counts, as those who have something to count know it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, override

from mcp.server.auth.provider import TokenError

from entra_mcp.errors import DependencyError

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.metrics import Meter

    from entra_mcp.storage.purge import PurgeSummary

CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 230.0)
"""Bounds of the histogram of calls; Azure's front end gives up on a silent one at about 230 s."""

PURGE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0, 240.0)


class Grant(StrEnum):
    """Ways to get tokens of this server."""

    SIGN_IN = "sign_in"
    REFRESH = "refresh"


class Outcome(StrEnum):
    """How an attempt to get tokens ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    """The code, the token or the account is not good."""
    UNAVAILABLE = "unavailable"
    """Something that the server depends on failed."""
    FAILED = "failed"
    """Something else went wrong, or the client went away."""


class Metrics:
    """Counts nothing. What counts is a subclass, so that whoever has something to count need not ask."""

    def granted(self, grant: Grant, outcome: Outcome) -> None:
        """An attempt to get tokens ended."""

    def refused(self, *, route: str, status: int) -> None:
        """A request was answered with an error that its sender can see: 4xx, or 503."""

    def called(self, *, method: str, seconds: float, tool: str | None = None, error: str | None = None) -> None:
        """An MCP request was answered, with the type of the error if it failed."""

    def looked_up(self, *, collection: str, hit: bool) -> None:
        """A value was wanted that is cached."""

    def purged(self, summary: PurgeSummary) -> None:
        """A purge ended."""

    def granting(self, grant: Grant) -> Attempt:
        """Returns a context manager that counts an attempt by how its block ends."""
        return Attempt(self, grant)


class Attempt(AbstractContextManager[object]):
    """Written out, since a context manager from a generator breaks the SDK's errors, which are frozen."""

    def __init__(self, metrics: Metrics, grant: Grant) -> None:
        self._metrics = metrics
        self._grant = grant

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        match error:
            case None:
                self._metrics.granted(self._grant, Outcome.COMPLETED)
            case TokenError():
                self._metrics.granted(self._grant, Outcome.REFUSED)
            case DependencyError():
                self._metrics.granted(self._grant, Outcome.UNAVAILABLE)
            case _:
                self._metrics.granted(self._grant, Outcome.FAILED)


class Instruments(Metrics):
    """Counts with OpenTelemetry's instruments. None has an attribute whose values a client could invent."""

    def __init__(self, meter: Meter) -> None:
        self._granted = {
            Grant.SIGN_IN: meter.create_counter("entra_mcp.sign_ins", description="Sign-ins, by how they ended."),
            Grant.REFRESH: meter.create_counter("entra_mcp.refreshes", description="Refreshes, by how they ended."),
        }
        self._refused = meter.create_counter(
            "entra_mcp.refusals", description="Requests answered with 4xx or 503, by route and status."
        )
        # https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
        self._called = meter.create_histogram(
            "mcp.server.operation.duration",
            unit="s",
            description="MCP requests, by method and tool.",
            explicit_bucket_boundaries_advisory=CALL_SECONDS,
        )
        self._looked_up = meter.create_counter(
            "entra_mcp.cache.lookups", description="Values that were wanted from the cache, by whether they were there."
        )
        self._rows = meter.create_counter(
            "entra_mcp.purge.rows", unit="{row}", description="Expired rows that a purge found, by what became of them."
        )
        self._purged = meter.create_histogram(
            "entra_mcp.purge.duration",
            unit="s",
            description="Purges, by whether they came to their end.",
            explicit_bucket_boundaries_advisory=PURGE_SECONDS,
        )

    @override
    def granted(self, grant: Grant, outcome: Outcome) -> None:
        self._granted[grant].add(1, {"outcome": outcome.value})

    @override
    def refused(self, *, route: str, status: int) -> None:
        self._refused.add(1, {"http.route": route, "http.response.status_code": status})

    @override
    def called(self, *, method: str, seconds: float, tool: str | None = None, error: str | None = None) -> None:
        attributes = {"mcp.method.name": method, "gen_ai.tool.name": tool, "error.type": error}
        self._called.record(seconds, {name: value for name, value in attributes.items() if value is not None})

    @override
    def looked_up(self, *, collection: str, hit: bool) -> None:
        self._looked_up.add(1, {"collection": collection, "hit": hit})

    @override
    def purged(self, summary: PurgeSummary) -> None:
        self._rows.add(summary.deleted, {"result": "deleted"})
        self._rows.add(summary.kept, {"result": "kept"})
        self._purged.record(summary.seconds, {"finished": summary.finished})
