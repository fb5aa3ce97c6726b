"""The seal on the state of multi-round tools, under keys that every instance shares and that follow the ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.request_state import AESGCMRequestStateCodec

from entra_mcp.vault.keys import Purpose

if TYPE_CHECKING:
    from entra_mcp.vault.keys import KeySource


class RingCodec:
    """A `RequestStateCodec` of the SDK that seals with the key that signs now and opens with every key of the ring."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def seal(self, payload: bytes) -> str:
        return self._codec().seal(payload)

    def unseal(self, token: str) -> bytes:
        """Reverses `seal`.

        Raises:
            InvalidRequestState: the token was not sealed here, or under a key that is gone.
        """
        return self._codec().unseal(token)

    def _codec(self) -> AESGCMRequestStateCodec:
        return AESGCMRequestStateCodec(self._source.ring.derive(Purpose.REQUEST_STATE))
