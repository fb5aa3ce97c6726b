"""Follows the secrets in the vault, so that a rotation needs no restart and signs nobody out.

They are read again every few minutes, and at once when something shows that they are out of date. That is a token or a
row that names a key this process does not know, because another instance read the vault later, or a client secret that
Entra ID refuses.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from entra_mcp.errors import VaultError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from entra_mcp.vault.client import Secrets

FOLLOW_SECONDS = 240.0
"""Between two regular readings: a new version is in use within five minutes."""

REREAD_SECONDS = 10.0
"""Between two readings out of turn: made-up key ids must not make this server hammer the vault."""

REREAD_DEADLINE_SECONDS = 2.0
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
        self._secrets: Secrets = secrets
        self.ring = secrets.signing_keys
        self._read = read
        self._clock = clock
        self._read_at = clock()
        self._reading: asyncio.Task[None] | None = None
        self._failure: VaultError | None = None

    def client_secret(self) -> SecretStr | None:
        return self._secrets.client_secret

    async def reread(self) -> None:
        """Reads the vault again, unless that was done within ten seconds.

        Raises:
            VaultError: it did not answer, now or at the last reading: what is missing here may be there.
        """
        if self._reading is not None or self._clock() - self._read_at >= REREAD_SECONDS:
            self._reading = self._reading or asyncio.create_task(self._update())
            # Others may wait for the same reading: one who gives up does not end it.
            _, pending = await asyncio.wait((self._reading,), timeout=REREAD_DEADLINE_SECONDS)
            if pending:
                raise VaultError(f"no answer within {REREAD_DEADLINE_SECONDS:.0f} s")
        if self._failure is not None:
            raise self._failure

    async def follow(self) -> None:
        """Reads the vault again every few minutes, until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            with suppress(VaultError):
                await self.reread()

    async def _update(self) -> None:
        try:
            secrets = await self._read()
        except VaultError as error:
            logger.warning("The secrets that were read before go on being used: %s", error)
            self._failure = error
        else:
            self._failure = None
            if secrets != self._secrets:
                logger.info("The vault has new secrets; newest signing key: %s.", secrets.signing_keys.newest.version)
                self._secrets = secrets
                self.ring = secrets.signing_keys
        finally:
            self._read_at = self._clock()
            self._reading = None
