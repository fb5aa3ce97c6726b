"""Signatures of the consent page's cookies, under a key of their own that follows the ring.

They bind the consent to the browser that gave it (RFC 9700 section 4.7). FastMCP signs them with the client secret,
which is another system's and may change between two pages.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from entra_mcp.vault.keys import Purpose

if TYPE_CHECKING:
    from entra_mcp.vault.keys import KeySource


class ConsentCookies:
    """Signs with the key that signs now, accepts what any key of the ring signed."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def sign(self, payload: str) -> str:
        """Returns the payload and its signature (HMAC-SHA256, hex), with a dot between."""
        return f"{payload}.{_signature(self._source.ring.newest.derive(Purpose.CONSENT_COOKIES), payload)}"

    def verify(self, signed: str) -> str | None:
        """Returns the payload of a signed value, or None when it was not signed here."""
        payload, _, signature = signed.rpartition(".")
        found = [
            hmac.compare_digest(_signature(key, payload).encode(), signature.encode("utf-8", "surrogatepass"))
            for key in self._source.ring.derive(Purpose.CONSENT_COOKIES)
        ]
        return payload if any(found) else None


def _signature(key: bytes, payload: str) -> str:
    return hmac.digest(key, payload.encode("utf-8", "surrogatepass"), "sha256").hex()
