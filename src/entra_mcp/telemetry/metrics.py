"""What the server counts, as those who have something to count know it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING

from mcp.server.auth.provider import TokenError

from entra_mcp.errors import DependencyError

if TYPE_CHECKING:
    from types import TracebackType

    from entra_mcp.storage.purge import PurgeSummary


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
