"""The keys of clients whose document names an address for them (`jwks_uri`).

To FastMCP an address that does not answer is one without the key, for half a minute. So a moment without an answer
from a client's own web server would sign its people out.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fastmcp.server.auth.ssrf import SSRFFetchError, ssrf_safe_fetch

if TYPE_CHECKING:
    from collections.abc import Callable

FRESH_SECONDS = 300.0
STALE_SECONDS = 24 * 3600.0
"""How long keys serve while their address does not give any."""

UNKNOWN_KEY_SECONDS = 30.0
"""How often an unknown key may make this server ask again."""

MOST_ADDRESSES = 100
MOST_BYTES = 65_536


class _KeySet(NamedTuple):
    keys: dict[str, Any]
    fetched_at: float

    def has(self, key_id: object) -> bool:
        found = self.keys.get("keys")
        keys = cast("list[Any]", found) if isinstance(found, list) else []
        return any(isinstance(key, dict) and cast("dict[str, Any]", key).get("kid") == key_id for key in keys)


class ClientKeys:
    """Fetches key sets (RFC 7517) and keeps the last ones."""

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, _KeySet] = {}

    async def get(self, address: str, *, key_id: object) -> dict[str, Any]:
        """Returns the key set at the address.

        Raises:
            SSRFFetchError: it cannot be fetched, and none that is known has the key.
            SSRFError: the address is not public.
            ValueError: it is no JSON.
            TypeError: it is no JSON object.
        """
        known = self._known.get(address)
        age = float("inf") if known is None else self._clock() - known.fetched_at
        if known is not None and age < (FRESH_SECONDS if known.has(key_id) else UNKNOWN_KEY_SECONDS):
            return known.keys
        try:
            found: object = json.loads(
                await ssrf_safe_fetch(address, max_size=MOST_BYTES, overall_timeout=self._seconds)
            )
        except SSRFFetchError:
            if known is not None and age < STALE_SECONDS and known.has(key_id):
                return known.keys
            raise
        if not isinstance(found, dict):
            raise TypeError("the keys of a client are no JSON object")
        keys = cast("dict[str, Any]", found)
        self._known.pop(address, None)
        while len(self._known) >= MOST_ADDRESSES:
            del self._known[next(iter(self._known))]
        self._known[address] = _KeySet(keys, self._clock())
        return keys
