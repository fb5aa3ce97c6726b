"""The server that the clients meet, and what happens to it while they are signed in."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, override

import httpx2

from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost, Stack
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

TOKEN_MINUTES = 5
"""The life of an access token: the shortest that the server takes."""

STRICT = {
    "MCP_ACCESS_TOKEN_MINUTES": str(TOKEN_MINUTES),
    # Clients with a document of their own would have it fetched from the internet; they register instead.
    "MCP_CLIENT_METADATA_DOCUMENTS": "false",
    # What is in storage counts at once, so that an outage shows at the next request.
    "MCP_UPSTREAM_TOKEN_CACHE_SECONDS": "0",
}


class Server(Stack):
    """The whole local environment, with tokens that expire soon, and a second host that registers nobody any more."""

    def __init__(self, folder: Path, *, certificates: Path) -> None:
        super().__init__(folder, certificates=certificates)
        (port,) = free_ports(1)
        self._folder = folder
        self.throttled = FunctionsHost(port=port, log=folder / "throttled.log")
        self.standins.redirect_uris = [*self.standins.redirect_uris, f"{self.throttled.url}/auth/callback"]

    @property
    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment, **STRICT}

    @contextmanager
    def throttling(self) -> Generator[None]:
        """Runs the second host for as long as the context lasts."""
        limits = {"MCP_REGISTRATIONS_PER_MINUTE": "1", "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "1"}
        self.throttled.start({**self.environment, **limits, "MCP_BASE_URL": self.throttled.url})
        try:
            yield
        finally:
            self.throttled.stop()

    async def use_up_registrations(self) -> None:
        """Registers at the second host until it is refused."""
        client = {"client_name": "Another client", "redirect_uris": ["http://localhost:5000/callback"]}
        async with httpx2.AsyncClient(base_url=self.throttled.url, timeout=60, trust_env=False) as http:
            while (await http.post("/register", json=client)).status_code != 429:
                pass

    async def rotate_signing_key(self) -> None:
        """Puts another key into the vault, and starts the server again, which then knows both."""
        async with vault_client(self.standins) as vault:
            await vault.set_secret("jwt-signing-key", base64.b64encode(os.urandom(32)).decode())
        await asyncio.to_thread(self.host.kill)
        await asyncio.to_thread(self.host.start, self.environment)

    async def lose_storage(self) -> None:
        """Ends with a server that never saw any of the clients."""
        await asyncio.to_thread(self.host.kill)
        await asyncio.to_thread(self.azurite.stop)
        shutil.rmtree(self._folder / "azurite")
        await asyncio.to_thread(self.azurite.start)
        await asyncio.to_thread(self.host.start, self.environment)
