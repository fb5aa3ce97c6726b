"""What a tool keeps for one caller is not read by another who sends the same session id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.flows.web.conftest import browser
from tests.support.mcp import structured, tool_call
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from typing import Any

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

SESSION = {"MCP-Session-Id": "shared-by-both"}


async def test_session_id_of_another_user_reads_nothing(start: Start) -> None:
    async def call(client: OAuthClient, token: str, name: str, **arguments: str) -> Any:  # noqa: ANN401 - whatever the tool returns
        request = tool_call(name, arguments, token=token)
        request["headers"] |= SESSION
        return structured(await client.http.post("/mcp", **request))["result"]

    async with start() as app, browser(app) as first, browser(app) as second:
        owner, other = OAuthClient(http=first), OAuthClient(http=second)
        owner_token = (await owner.sign_in("user"))["access_token"]
        other_token = (await other.sign_in("admin"))["access_token"]
        assert await call(owner, owner_token, "keep_in_session", value="hunter2") == "hunter2"
        assert await call(other, other_token, "kept_in_session") == "None"
