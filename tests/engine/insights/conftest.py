"""One recording of what host and application send to Application Insights while people sign in, call, and fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest_asyncio

from tests.support.application_insights import Recording, recording
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost
from tests.support.standins import StandIns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

UNSENDABLE = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Name: é\r\nConnection: close\r\n\r\n"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def recorded(
    tmp_path_factory: pytest.TempPathFactory, certificates: Path, azurite: str
) -> AsyncIterator[Recording]:
    """Ends with every line of the log written: the host has stopped."""
    folder = tmp_path_factory.mktemp("insights")
    (port,) = free_ports(1)
    host = FunctionsHost(port=port, log=folder / "host.log")
    redirects = [f"{host.url}/auth/callback"]
    async with (
        StandIns(folder=folder / "standins", tls=certificates, redirect_uris=redirects) as standins,
        recording(certificates) as (made, settings),
    ):
        environment = {
            **standins.environment(),
            **settings,
            "MCP_BASE_URL": host.url,
            "AzureWebJobsStorage": azurite,
            "MCP_TABLE_NAME": "Insights",
            "MCP_CREATE_TABLE": "true",
        }
        await asyncio.to_thread(host.start, environment)
        try:
            async with httpx2.AsyncClient(base_url=host.url, timeout=30) as http:
                await use(http, standins)
                await asyncio.sleep(1)  # for the sending of host and application
        finally:
            await asyncio.to_thread(host.stop)
        yield made


async def use(http: httpx2.AsyncClient, standins: StandIns) -> None:
    """Does whatever writes an audit line, and some of what fails."""
    client = OAuthClient(http=http)
    tokens = await client.sign_in()
    for _ in range(3):
        assert structured(await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
    assert (await client.call("made-up", "add")).status_code == 401
    refreshed = (await client.refresh(tokens["refresh_token"])).json()
    await client.refresh(tokens["refresh_token"])
    await asyncio.to_thread(standins.control, "POST", "/faults", {"code": 7000222, "grant_type": "refresh_token"})
    assert (await client.refresh(refreshed["refresh_token"])).status_code == 503
    await asyncio.to_thread(standins.control, "DELETE", "/faults")
    await http.post("/revoke", data={"token": tokens["access_token"], "client_id": client.client_id})
    assert (await http.post("/token", content=b"a" * 200_000)).status_code == 413
    assert (await http.post("/admin/functions/purge", json={})).status_code == 202
    await stranger(http)


async def stranger(http: httpx2.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection("localhost", http.base_url.port)
    writer.write(UNSENDABLE.encode())
    assert b" 500 " in await reader.readline()
    writer.close()
