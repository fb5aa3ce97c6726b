"""What one caller may cost an instance: how often they call, and how much work one call is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx2
import pytest

from entra_mcp.web import time_limits
from tests.engine.flows.web.conftest import browser
from tests.support.mcp import SESSIONLESS, refusal, request, structured, tool_call
from tests.support.oauth import OAuthClient
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")

PROTOCOLS = ("2025-11-25", SESSIONLESS)

COMPLETION = {"ref": {"type": "ref/prompt", "name": "review_orders"}, "argument": {"name": "region", "value": "a"}}


@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/call", {"name": "add", "arguments": {"a": 1, "b": 1}}), ("completion/complete", COMPLETION), ("ping", {})],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_caller_who_calls_too_often_is_told_when_to_try_again(
    start: Start, method: str, params: dict[str, Any], protocol: str
) -> None:
    async with start(MCP_CALLS_PER_MINUTE="3") as app, browser(app) as http:
        token = (await OAuthClient(http=http).sign_in())["access_token"]
        calls = [http.post("/mcp", **request(method, params, token=token, protocol=protocol)) for _ in range(6)]
        answers = await asyncio.gather(*calls)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 3
        assert {answer.json()["error"] for answer in refused} == {"too_many_requests"}
        assert all(1 <= int(answer.headers["retry-after"]) <= 20 for answer in refused)


async def test_limit_is_that_of_the_person_whatever_client_and_token_they_use(start: Start) -> None:
    async with start(MCP_CALLS_PER_MINUTE="2") as app, browser(app) as http:
        first, second, other = (OAuthClient(http=http) for _ in range(3))
        tokens = await first.sign_in()
        renewed = (await first.refresh(tokens["refresh_token"])).json()
        of_second_client = await second.sign_in()
        of_administrator = await other.sign_in("admin")
        assert structured(await first.call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
        assert structured(await first.call(renewed["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}
        assert (await second.call(of_second_client["access_token"], "add")).status_code == 429
        assert structured(await other.call(of_administrator["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


async def test_calls_of_strangers_count_for_nobody(start: Start) -> None:
    async with start(MCP_CALLS_PER_MINUTE="1") as app, browser(app) as http:
        token = (await OAuthClient(http=http).sign_in())["access_token"]
        for stranger in (None, "made-up", token[:-4]):
            assert (await http.post("/mcp", **tool_call("add", token=stranger))).status_code == 401
        assert structured(await http.post("/mcp", **tool_call("add", {"a": 1, "b": 1}, token=token))) == {"result": 2}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_call_of_very_many_values_is_refused_before_it_is_validated(client: OAuthClient, protocol: str) -> None:
    token = (await client.sign_in())["access_token"]
    many = {f"k{number}": 1 for number in range(20_000)}
    answer = await client.http.post("/mcp", **tool_call("add", many, token=token, protocol=protocol))
    assert answer.status_code == 413
    assert answer.json()["error"] == "request_too_large"
    assert "10000 values" in answer.json()["error_description"]


async def test_values_of_a_message_follow_the_setting(start: Start) -> None:
    async with start(MCP_MESSAGE_VALUES_LIMIT="1000", MCP_BODY_LIMIT="4194304") as app, browser(app) as http:
        token = (await OAuthClient(http=http).sign_in())["access_token"]
        for many, status in ((900, 200), (1000, 413), (300_000, 413)):
            unknown = {f"k{number}": 1 for number in range(many)}
            assert (await http.post("/mcp", **tool_call("add", unknown, token=token))).status_code == status


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_error_of_arguments_is_short_however_many_are_wrong(client: OAuthClient, protocol: str) -> None:
    token = (await client.sign_in())["access_token"]
    unknown = {f"k{number}": "x" * 40 for number in range(5_000)}
    answer = await client.http.post("/mcp", **tool_call("add", unknown, token=token, protocol=protocol))
    told = refusal(answer)
    assert told.startswith("5002 validation errors")
    assert len(answer.content) < 8_000


async def test_upload_that_is_slower_than_the_limit_of_silence_is_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender pauses for longer than anything that the server depends on may be silent."""
    monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 1.0)
    async with start() as app, serving(app) as port, browser(app) as http:
        token = (await OAuthClient(http=http).sign_in())["access_token"]
        call = tool_call("add", {"a": 1, "b": 1}, token=token)

        async def slowly() -> AsyncIterator[bytes]:
            content = json.dumps(call["json"]).encode()
            yield content[:20]
            await asyncio.sleep(2.5)
            yield content[20:]

        headers = {**call["headers"], "Content-Type": "application/json"}
        async with httpx2.AsyncClient(base_url=f"http://localhost:{port}", timeout=30) as sender:
            assert structured(await sender.post("/mcp", headers=headers, content=slowly())) == {"result": 2}
