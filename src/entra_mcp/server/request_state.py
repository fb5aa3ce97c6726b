"""The seal on the state of multi-round tools, under keys that every instance shares and that follow the ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateSecurity

from entra_mcp.tasks.limits import DAY_SECONDS
from entra_mcp.toolkit.background import RUNNING
from entra_mcp.vault.keys import Purpose

if TYPE_CHECKING:
    from entra_mcp.vault.keys import KeySource


class StateSecurity(RequestStateSecurity):
    """How long a client may take to bring a state back: minutes, and a background task's as long as the task is kept.

    A state can be replayed for as long, so a call that is no task does not get the longer time.
    """

    def __init__(self, source: KeySource) -> None:
        super().__init__(codec=RingCodec(source))

    @property
    @override
    def ttl(self) -> float:
        return self._seconds if RUNNING.get() is None else DAY_SECONDS

    @ttl.setter
    def ttl(self, seconds: float) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - the base class sets it
        self._seconds = seconds


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
