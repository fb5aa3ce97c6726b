"""The server that the clients meet, and what happens to it while they are signed in."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from contextlib import ExitStack, asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, override

import httpx2

from local.config import REPOSITORY
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost, Stack
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

BACKGROUND = REPOSITORY / "tests" / "support" / "background"

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
    """The whole local environment, with tokens that expire soon.

    A second host registers nobody any more, and a third one has tools that run as background tasks.
    """

    def __init__(self, folder: Path, *, certificates: Path) -> None:
        super().__init__(folder, certificates=certificates)
        throttled, background = free_ports(2)
        self._folder = folder
        self.throttled = FunctionsHost(port=throttled, log=folder / "throttled.log")
        self.background = FunctionsHost(port=background, log=folder / "background.log", app=BACKGROUND)
        self.standins.redirect_uris = [
            *self.standins.redirect_uris,
            *(f"{host.url}/auth/callback" for host in (self.throttled, self.background)),
        ]

    @property
    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment, **STRICT}

    @contextmanager
    def other_hosts(self) -> Generator[None]:
        """Runs the second and the third host for as long as the context lasts."""
        limits = {"MCP_REGISTRATIONS_PER_MINUTE": "1", "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "1"}
        with ExitStack() as stack:
            for host, settings in ((self.throttled, limits), (self.background, {})):
                host.start({**self.environment, **settings, "MCP_BASE_URL": host.url})
                stack.callback(host.stop)
            yield

    @asynccontextmanager
    async def no_registrations(self) -> AsyncGenerator[None]:
        """Lets nobody else register at the second host: each registration that it has to give is taken at once."""
        client = {"client_name": "Another client", "redirect_uris": ["http://localhost:5000/callback"]}
        refused = asyncio.Event()

        async def register() -> None:
            async with httpx2.AsyncClient(base_url=self.throttled.url, timeout=60, trust_env=False) as http:
                while True:
                    if (await http.post("/register", json=client)).status_code == HTTPStatus.TOO_MANY_REQUESTS:
                        refused.set()
                        await asyncio.sleep(0.1)

        registering = asyncio.create_task(register())
        try:
            await refused.wait()
            yield
        finally:
            registering.cancel()
            await asyncio.gather(registering, return_exceptions=True)

    @asynccontextmanager
    async def storage_away(self) -> AsyncGenerator[None]:
        """Stops the storage for as long as the context lasts."""
        await asyncio.to_thread(self.azurite.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self.azurite.start)

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
