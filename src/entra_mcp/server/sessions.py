"""What FastMCP keeps in sessions, on a server whose every request may meet another instance.

At every call FastMCP reads the visibility rules of the session: which components a tool has hidden from this user. They
are read from storage only where the settings let tools write them, and there not for the protocols before 2026-07-28.
Their session has an id that this server invents for one request alone, so no earlier request can have left a rule.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from fastmcp.exceptions import ToolError
from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.errors import EntraMcpError, StorageError
from entra_mcp.patience import Patience
from entra_mcp.request import record_failure

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from key_value.aio.protocols import AsyncKeyValue


RULES = ":_visibility_rules"
"""How the keys of visibility rules end, behind the session's own name."""

OF_ONE_REQUEST = re.compile(rf"[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{RULES}")

RULES_SECONDS = 1.0
"""For what is read between the authentication of a call and its tool: together that is five seconds at most."""

UNAVAILABLE = "What is kept for you cannot be reached at this moment. Try again in a little while."


class VisibilityRulesError(EntraMcpError):
    """A tool hides or shows components for one user, and the settings do not let it."""

    def __init__(self) -> None:
        super().__init__(
            "The tool changes which components its user sees, and this server does not read such rules. "
            "Set MCP_VISIBILITY_RULES=true, at the price of one storage read for each call."
        )


class SessionStore(BaseWrapper):
    """Wraps the store of sessions; an outage is noted, and reported without the reason."""

    def __init__(self, store: AsyncKeyValue, *, visibility_rules: bool = False) -> None:
        self.key_value = store
        self._visibility_rules = visibility_rules

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        if not key.endswith(RULES):
            with self._told():
                return await self.key_value.get(key, collection=collection)
        if not self._visibility_rules or OF_ONE_REQUEST.fullmatch(key):
            return None
        with self._told():
            try:
                async with Patience(RULES_SECONDS):
                    return await self.key_value.get(key, collection=collection)
            except TimeoutError:
                raise StorageError("no visibility rules in time") from None

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        """Puts the value.

        Raises:
            VisibilityRulesError: it is a visibility rule, which nobody would read.
            ToolError: the store does not answer.
        """
        if not self._visibility_rules and key.endswith(RULES):
            raise VisibilityRulesError
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
            record_failure(error)
            raise ToolError(UNAVAILABLE) from error
