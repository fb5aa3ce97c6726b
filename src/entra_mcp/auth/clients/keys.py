"""The public keys of clients with a document: which one an assertion means, and those that are at an address.

Threat: a document is anybody's. With the members of a private key in it, or a modulus of thousands of digits, the
library would compute for seconds before it looks at a signature, and the whole process with it. So the public members
alone are taken, of a bounded length. FastMCP takes an address that does not answer for one without the key, for half a
minute; a moment without an answer from a client's own web server would sign its people out.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, cast

from fastmcp.server.auth.ssrf import SSRFFetchError, ssrf_safe_fetch

from entra_mcp.auth.clients.fetches import TooManyLookupsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    type Key = dict[str, str]

TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The type of key (RFC 7518 section 6.1, RFC 8037) by the first two letters of an algorithm."""

MEMBERS = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")
MAX_MEMBER = 1400
"""Characters: the modulus of an RSA key of 8,192 bits has 1,366."""

MAX_KEYS = 20
MAX_ADDRESSES = 100
MAX_BYTES = 65_536

FRESH_SECONDS = 300.0
STALE_SECONDS = 24 * 3600.0
"""How long keys serve while their address does not give any."""

UNKNOWN_KEY_SECONDS = 30.0
"""How often an unknown key may make this server ask again, or old keys of an address that is away."""

AWAY_SECONDS = 5.0
"""How often an address is asked that gave no keys: an answer of 503 asks for so much patience, too."""

FETCH_SECONDS = 2.0


def public_keys(key_set: object) -> list[Key]:
    """Returns the keys of a key set (RFC 7517), each with its public members; what is no key is passed over.

    Raises:
        ValueError: it is no key set.
    """
    entries = cast("dict[str, Any]", key_set).get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no key set")  # noqa: TRY004 - in whatever way
    found = [_public(entry) for entry in cast("list[Any]", entries)]
    return [key for key in found if key is not None][:MAX_KEYS]


def chosen(keys: list[Key], header: Mapping[str, Any]) -> Key | None:
    """Returns the key that a signature with this header means: by its id, or the only one of its type."""
    fitting = [key for key in keys if key["kty"] == TYPES.get(str(header.get("alg"))[:2])]
    named = [key for key in fitting if key.get("kid") == header.get("kid")]
    found = named if len(named) == 1 else [key for key in fitting if "kid" not in key or "kid" not in header]
    return found[0] if len(found) == 1 else None


class ClientKeys:
    """Fetches key sets, and keeps the last ones."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _KeySet] = {}

    async def get(self, address: str, header: Mapping[str, Any]) -> Key | None:
        """Returns the key at the address that a signature with this header means; None if there is none.

        Raises:
            SSRFFetchError: the keys cannot be fetched, and none that are known serve. Likewise others of its kind,
                whatever keeps them from being fetched.
        """
        known = self._known.pop(address, None) or _KeySet()
        while len(self._known) >= MAX_ADDRESSES:
            # The oldest of those that never had keys, or else the one that was not asked for the longest.
            del self._known[next((each for each, of in self._known.items() if not of.keys), next(iter(self._known)))]
        self._known[address] = known
        async with known.asking:
            now = self._clock()
            age = now - known.fetched_at
            if age >= STALE_SECONDS:
                known.keys = []
            key = chosen(known.keys, header)
            if key is not None and age < FRESH_SECONDS:
                return key
            if now - known.asked_at >= (UNKNOWN_KEY_SECONDS if known.keys else AWAY_SECONDS):
                try:
                    known.failure = await self._fetch(address, known)
                except TooManyLookupsError:
                    if key is None:
                        raise
                    return key
                known.asked_at = now
                key = chosen(known.keys, header)
        if key is None and known.failure is not None:
            raise known.failure.with_traceback(None)
        return key

    async def _fetch(self, address: str, known: _KeySet) -> Exception | None:
        """Fetches the keys, and returns what kept the address from giving them; then those that are known stay.

        Raises:
            TooManyLookupsError: whoever asks has had too much; that is no news of the address.
        """
        try:
            body = await ssrf_safe_fetch(address, max_size=MAX_BYTES, overall_timeout=FETCH_SECONDS)
            known.keys = public_keys(json.loads(body))
        except TooManyLookupsError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, keys that are known serve
            if isinstance(error, SSRFFetchError) and str(error).startswith(("HTTP 404 ", "HTTP 410 ")):
                known.keys = []  # whoever takes them away wants them to count no more
            return error
        known.fetched_at = self._clock()
        return None


@dataclass(slots=True)
class _KeySet:
    keys: list[Key] = field(default_factory=list["Key"])
    fetched_at: float = -inf
    asked_at: float = -inf
    failure: Exception | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


def _public(entry: object) -> Key | None:
    if not isinstance(entry, dict):
        return None
    members = {name: value for name, value in cast("dict[str, Any]", entry).items() if name in MEMBERS}
    fits = all(isinstance(value, str) and len(value) <= MAX_MEMBER for value in members.values())
    return members if fits and "kty" in members else None
