"""Your server in memory: `server` has nobody signed in, `signed_in` opens it over HTTP for Alice and others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from app.server import server as definition
from tests.support.instances import instance, served
from tests.support.settings import working_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastmcp import FastMCP

    from entra_mcp.settings import Settings
    from tests.support.instances import SignedIn


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The engine's settings; set the variables of your own settings here, too."""
    return working_settings(monkeypatch, MCP_BASE_URL="http://localhost:7071")


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[FastMCP]:
    """Your server, to be called in memory, where nobody is signed in."""
    async with served(settings, definition=definition) as server:
        yield server


@pytest.fixture
def signed_in(settings: Settings) -> SignedIn:
    """Opens an instance of your server over HTTP; `call(http, "tool", token=BOB)` calls a tool as Bob."""
    return partial(instance, settings, definition=definition)
