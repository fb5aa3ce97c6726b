"""What FastMCP keeps in sessions, on a server whose every request may meet another instance.

Before 2026-07-28 a session has an id, which a server without sessions makes anew for each request. What FastMCP looks
for under such an id, at every call, no earlier request can have left there, so it is not looked for in storage.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from fastmcp.exceptions import ToolError
from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.errors import StorageError
from entra_mcp.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from key_value.aio.protocols import AsyncKeyValue

    from entra_mcp.faults import Faults

RULES = ":_visibility_rules"
"""How the keys of visibility rules end, behind the session's own name."""

OF_ONE_REQUEST = re.compile(rf"[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{RULES}")

RULES_SECONDS = 1.0
"""For what is read between the authentication of a call and its tool: together that is five seconds at most."""

UNAVAILABLE = "What is kept for you cannot be reached at this moment. Try again in a little while."


class SessionStore(BaseWrapper):
    """Wraps the store of sessions; an outage is noted, and told without the reason."""

    def __init__(self, store: AsyncKeyValue, *, faults: Faults) -> None:
        self.key_value = store
        self._faults = faults

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        if OF_ONE_REQUEST.fullmatch(key):
            return None
        with self._told():
            if not key.endswith(RULES):
                return await self.key_value.get(key, collection=collection)
            try:
                async with Patience(RULES_SECONDS):
                    return await self.key_value.get(key, collection=collection)
            except TimeoutError:
                raise StorageError("no visibility rules in time") from None

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        with self._told():
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        with self._told():
            return await self.key_value.delete(key, collection=collection)

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except StorageError as error:
            self._faults.note(error)
            raise ToolError(UNAVAILABLE) from error
