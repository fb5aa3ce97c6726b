"""A connection to Entra ID that ended while nobody used it costs nobody their sign-in."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from entra_mcp.auth.assembly import create_verifier
from entra_mcp.auth.entra.credential import SecretCredential
from entra_mcp.auth.entra.upstream import EntraOAuthClient
from entra_mcp.errors import UpstreamUnavailableError
from entra_mcp.http_client import http_client
from entra_mcp.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from entra_mcp.settings import Settings

    Load = Callable[..., Settings]

ANSWER = json.dumps({"access_token": "T", "expires_in": 60}).encode()


class Endpoint:
    """Answers the first request of each connection, and ends the connection when a second one comes."""

    def __init__(self, *, broken: int = 0) -> None:
        self.connections = 0
        self.requests = 0
        self._broken = broken
        """How many connections from the first on end without any answer."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._read(reader)
            if self.connections > self._broken:
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
                writer.write(head.encode() + ANSWER)
                await self._read(reader)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))


@asynccontextmanager
async def client_of(endpoint: Endpoint, load_settings: Load) -> AsyncGenerator[tuple[EntraOAuthClient, str]]:
    served: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.create_task(endpoint.serve(reader, writer)))

    async def reread() -> None:
        raise AssertionError("the secret is right")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, http_client(timeout=5.0) as http:
        client = EntraOAuthClient(
            client_id="client",
            credential=SecretCredential(current=lambda: SecretStr("secret"), reread=reread),
            verifier=create_verifier(load_settings(), http_client=http),
            http_client=http,
            metrics=Metrics(),
        )
        yield client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token"
    await asyncio.gather(*served, return_exceptions=True)


async def test_refresh_over_a_connection_that_has_ended_is_sent_again(load_settings: Load) -> None:
    endpoint = Endpoint()
    async with client_of(endpoint, load_settings) as (client, url):
        for _ in range(2):
            assert (await client.refresh_token(url, refresh_token="R"))["access_token"] == "T"
    assert (endpoint.connections, endpoint.requests) == (2, 3)


async def test_endpoint_that_ends_every_connection_is_an_outage_after_the_second(load_settings: Load) -> None:
    endpoint = Endpoint(broken=1000)
    async with client_of(endpoint, load_settings) as (client, url):
        with pytest.raises(UpstreamUnavailableError, match="RemoteProtocolError"):
            await client.refresh_token(url, refresh_token="R")
    assert endpoint.connections == 2
