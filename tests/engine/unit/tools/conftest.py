"""A server with what is registered and nothing else, to be called in memory, and the settings of a whole one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastmcp import FastMCP

from entra_mcp import completions, prompts, resources, tools
from entra_mcp.server.lifespan import open_services

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings


@pytest.fixture
def settings(load_settings: Callable[..., Settings]) -> Settings:
    return load_settings(MCP_BASE_URL="http://localhost:7071")


@pytest.fixture
def server(settings: Settings) -> FastMCP:
    """A server that nobody is signed in to."""
    server = FastMCP("test", lifespan=lambda _: open_services(settings, auth=None), mask_error_details=True)
    tools.register(server, on_behalf_of=True)
    resources.register(server)
    prompts.register(server)
    completions.register(server)
    return server
