"""How the server learns who is calling."""

from __future__ import annotations

from enum import StrEnum


class AuthMode(StrEnum):
    """How the server learns who is calling."""

    PROXY = "proxy"
    """Clients register and sign in here; this server is an authorization server in front of Entra ID."""

    FEDERATED = "federated"
    """As `proxy`, and the server proves who it is with its managed identity instead of a client secret."""

    VERIFY = "verify"
    """Clients bring tokens that Entra ID issued for this server; it only verifies them."""

    @property
    def signs_in(self) -> bool:
        """Whether people sign in at this server, and tools can act on their behalf."""
        return self is not AuthMode.VERIFY
