"""The seal on the state of multi-round tools, under keys that every instance shares and that follow the ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.request_state import AESGCMRequestStateCodec

from entra_mcp.vault.keys import Purpose

if TYPE_CHECKING:
    from entra_mcp.vault.keys import KeySource, RootKey


class RingCodec:
    """A `RequestStateCodec` of the SDK that seals with the key that signs now and opens with every key of the ring."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: tuple[RootKey, ...] = ()
        self._codec: AESGCMRequestStateCodec | None = None

    def seal(self, payload: bytes) -> str:
        return self._followed().seal(payload)

    def unseal(self, token: str) -> bytes:
        """Reverses `seal`.

        Raises:
            InvalidRequestState: the token was not sealed here, or under a key that is gone.
        """
        return self._followed().unseal(token)

    def _followed(self) -> AESGCMRequestStateCodec:
        ring = self._source.ring
        keys = (ring.newest, *ring.keys)
        if self._codec is None or keys != self._keys:
            self._codec, self._keys = AESGCMRequestStateCodec(ring.derive(Purpose.REQUEST_STATE)), keys
        return self._codec
