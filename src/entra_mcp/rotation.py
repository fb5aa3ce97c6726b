"""Follows the secrets in the vault, so that a rotation needs no restart and signs nobody out.

They are read again every few minutes, and at once when something shows that they are out of date: a token or a row that
names a key this process does not know, because another instance read the vault later, or a client secret that Entra ID
refuses.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from entra_mcp.errors import VaultError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from entra_mcp.keys import KeyRing
    from entra_mcp.vault import Secrets

FOLLOW_SECONDS = 240.0
"""Between two regular readings: a new version is in use within five minutes."""

REREAD_SECONDS = 10.0
"""Between two readings out of turn: made-up key ids must not make this server hammer the vault."""

REREAD_DEADLINE_SECONDS = 3.0
"""How long a request waits for such a reading."""

logger = logging.getLogger(__name__)


class CurrentSecrets:
    """The secrets as they were last read. Belongs to one event loop."""

    def __init__(
        self,
        secrets: Secrets,
        *,
        read: Callable[[], Awaitable[Secrets]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = secrets
        self._read = read
        self._clock = clock
        self._read_at = clock()
        self._reading: asyncio.Task[None] | None = None

    @property
    def ring(self) -> KeyRing:
        return self._secrets.signing_keys

    def client_secret(self) -> SecretStr | None:
        return self._secrets.client_secret

    async def reread(self) -> None:
        """Reads the vault again unless that was done within ten seconds; a vault that is away changes nothing."""
        if self._reading is None:
            if self._clock() - self._read_at < REREAD_SECONDS:
                return
            self._reading = asyncio.create_task(self._update())
        # Others may wait for the same reading: one who gives up does not end it.
        await asyncio.wait((self._reading,), timeout=REREAD_DEADLINE_SECONDS)

    async def follow(self) -> None:
        """Reads the vault again every few minutes, until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            await self.reread()

    async def _update(self) -> None:
        try:
            secrets = await self._read()
        except VaultError as error:
            logger.warning("The secrets that were read before go on being used: %s", error)
        else:
            if secrets != self._secrets:
                logger.info("The vault has new secrets; newest signing key: %s.", secrets.signing_keys.newest.version)
                self._secrets = secrets
        finally:
            self._read_at = self._clock()
            self._reading = None
