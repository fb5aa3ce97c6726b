"""Which clients can be asked, and how: by what they say of themselves, and by their protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation

from entra_mcp.toolkit.questions import can_ask, can_open
from tests.support.instances import ALICE, instance
from tests.support.mcp import SESSIONLESS, structured, tool_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


async def ways(context: Context) -> list[str]:
    """How this client can be asked."""
    return [name for name, able in (("form", can_ask(context)), ("url", can_open(context))) if able]


async def ask(settings: Settings, **how: Any) -> list[str]:  # noqa: ANN401 - as for `tool_call`
    async with instance(settings, tools=(ways,)) as http:
        return structured(await http.post("/mcp", **tool_call("ways", token=ALICE, **how)))["result"]


@pytest.mark.parametrize(
    ("capabilities", "able"),
    [
        ({}, []),
        ({"elicitation": {}}, ["form"]),
        ({"elicitation": {"form": {}}}, ["form"]),
        ({"elicitation": {"url": {}}}, ["url"]),
        ({"elicitation": {"form": {}, "url": {}}}, ["form", "url"]),
    ],
    ids=str,
)
async def test_client_is_asked_in_the_ways_that_it_names(
    load_settings: Callable[..., Settings], capabilities: dict[str, Any], able: list[str]
) -> None:
    assert await ask(load_settings(), protocol=SESSIONLESS, meta={CAPABILITIES: capabilities}) == able


@pytest.mark.parametrize("protocol", ["2025-06-18", "2025-11-25"])
async def test_client_of_an_older_protocol_is_not_asked(load_settings: Callable[..., Settings], protocol: str) -> None:
    assert await ask(load_settings(), protocol=protocol) == []
