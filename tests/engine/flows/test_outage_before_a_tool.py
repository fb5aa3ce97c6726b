"""Storage that hangs while a call is on its way to its tool leads to 503 in time; the tool itself may take longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entra_mcp.web import time_limits
from tests.engine.flows.conftest import proxied
from tests.engine.flows.test_outage import ALWAYS, unavailable
from tests.support.fault_proxy import Fault
from tests.support.mcp import SESSIONLESS, structured, tool_call

if TYPE_CHECKING:
    from collections.abc import Callable

    Environment = Callable[..., None]


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_reads_before_a_tool_starts_have_one_deadline_and_the_tool_has_none(
    environment: Environment,
    azurite: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:
    """The read that authenticates a call hangs, and storage itself would be waited for much longer."""
    async with proxied(environment, azurite) as (proxy, client):
        token = (await client.sign_in())["access_token"]
        monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 0.6)
        proxy.break_next(Fault.HANG, times=ALWAYS)
        await unavailable(
            client.http.post("/mcp", **tool_call("add", {"a": 1, "b": 1}, token=token, protocol=protocol))
        )
        assert "503: server: no answer in time" in caplog.text
        proxy.fault = None
        slow = tool_call("count_slowly", {"to": 3, "seconds_each": 1.0}, token=token, protocol=protocol)
        assert structured(await client.http.post("/mcp", **slow)) == {"result": 3}


async def test_visibility_rules_that_do_not_come_are_503_before_storage_itself_gives_up(
    environment: Environment, azurite: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They are the second read of a call that no cache helps."""
    async with proxied(environment, azurite, MCP_VISIBILITY_RULES="true") as (proxy, client):
        token = (await client.sign_in())["access_token"]
        proxy.break_next(Fault.HANG, times=ALWAYS)
        proxy.skip = 1
        call = tool_call("add", {"a": 1, "b": 1}, token=token, protocol=SESSIONLESS)
        await unavailable(client.http.post("/mcp", **call))
        assert "no visibility rules in time" in caplog.text
