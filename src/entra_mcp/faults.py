"""The dependencies that failed while one request was served.

FastMCP answers many an exception as if the request were at fault: a storage that does not answer becomes 401, and the
client throws its tokens away. So whoever sees a dependency fail notes it here, and the edge of the application, which
sees the answer, can tell a refusal from an outage.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from types import TracebackType

    from key_value.aio.protocols import AsyncKeyValue


class Faults:
    """A list for each request that is being served; what happens outside of a request is noted nowhere."""

    def __init__(self) -> None:
        self._noted: ContextVar[list[DependencyError] | None] = ContextVar("faults", default=None)

    @contextmanager
    def watch(self) -> Generator[list[DependencyError]]:
        """Yields the list that fills while the block runs."""
        noted: list[DependencyError] = []
        token = self._noted.set(noted)
        try:
            yield noted
        finally:
            self._noted.reset(token)

    def note(self, error: DependencyError) -> None:
        """Adds what failed to the list of the running request."""
        noted = self._noted.get()
        if noted is not None:
            noted.append(error)

    def noted(self) -> Noted:
        """Returns a context manager that notes a dependency error which leaves its block, and lets it go on."""
        return Noted(self)


class Noted:
    """Written out, since one that `contextlib` makes from a generator breaks the SDK's errors, which are frozen."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DependencyError):
            self._faults.note(error)


class NotingStore(BaseWrapper):
    """Notes the faults of a store."""

    def __init__(self, store: AsyncKeyValue, *, faults: Faults) -> None:
        self.key_value = store
        self._faults = faults

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        with self._faults.noted():
            return await self.key_value.get(key, collection=collection)

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        with self._faults.noted():
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        with self._faults.noted():
            return await self.key_value.delete(key, collection=collection)
