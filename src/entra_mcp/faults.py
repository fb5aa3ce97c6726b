"""Notes which dependencies failed while a request was served; request.py says what for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.errors import DependencyError
from entra_mcp.request import REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from key_value.aio.protocols import AsyncKeyValue


class Faults:
    """Writes to the running request; what happens outside of a request is noted nowhere."""

    def note(self, error: DependencyError) -> None:
        """Adds what failed to the running request."""
        request = REQUEST.get()
        if request is not None:
            request.faults.append(error)

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
