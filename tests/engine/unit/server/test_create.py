"""The server over HTTP as two instances that share their keys and their store, and what a failing tool gives away."""

from __future__ import annotations

import asyncio
import logging
import tomllib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.exceptions import ToolError
from fastmcp.server.sessions import UserSession  # noqa: TC002 - as above
from key_value.aio.stores.memory import MemoryStore
from mcp.types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from pydantic import BaseModel

from entra_mcp.server.create import CACHE_SECONDS
from entra_mcp.vault.keys import KeyRing, RootKey
from local.config import REPOSITORY
from tests.support.app.server import SERVER
from tests.support.instances import ADMIN, ALICE, BOB, RING, call, served
from tests.support.instances import instance as plain_instance
from tests.support.mcp import SESSIONLESS, protocol_error, refusal, request, result, structured, tool_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.settings import Settings

(OLD_KEY,) = RING.keys
NEW_KEY = RootKey(version="new", material=bytes(range(32, 64)))


async def keep(text: str, session: UserSession) -> str:
    """Keep a text for the caller."""
    await session.set("text", text)
    return text


async def kept(session: UserSession) -> str:
    """What was kept for the caller."""
    return await session.get("text", "")


async def book(context: Context, room: str) -> str | InputRequiredResult:
    """Ask who the guest is, then book the room."""
    if context.request_state is None:
        schema: Any = {"type": "object", "properties": {"guest": {"type": "string"}}}
        params = ElicitRequestFormParams(message="Who is the guest?", requested_schema=schema)
        asked = ElicitRequest(params=params)
        return InputRequiredResult(input_requests={"guest": asked}, request_state=f"secret price of {room}: 42")
    answers = context.input_responses or {}
    return f"{answers['guest'].model_dump()['content']['guest']}; {context.request_state}"


class Address(BaseModel):
    """Where something goes."""

    street: str


async def deliver(to: Address) -> str:
    """Deliver to an address."""
    return to.street


async def fail() -> str:
    """Fail in a way that nobody foresaw."""
    raise ValueError("password=hunter2 at db.contoso.internal")


async def fetch(status: int) -> None:
    """Ask another API, which refuses."""
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(status, text="hunter2"))
    ) as http:
        (await http.get("https://orders.contoso.internal/1")).raise_for_status()


async def wait() -> None:
    """Wait for what somebody else cancels."""
    await asyncio.get_running_loop().create_task(cancelled(), name="pool of db.contoso.internal")


async def cancelled() -> None:
    raise asyncio.CancelledError("hunter2")


async def refuse() -> str:
    """Fail with a message for the client."""
    raise ToolError("The room is taken.")


@pytest.fixture
def settings(load_settings: Callable[..., Settings]) -> Settings:
    return load_settings(MCP_BASE_URL="http://localhost:7071", MCP_SERVER_NAME="Contoso tools")


instance = partial(plain_instance, tools=(book, fail, fetch, keep, kept, refuse, wait))


async def ask_for_room(http: httpx2.AsyncClient, *, token: str = ALICE, room: str = "101", **more: Any) -> Any:  # noqa: ANN401 - JSON
    """A call of `book`: the first round, or a later one with what the client adds."""
    return await http.post("/mcp", **tool_call("book", {"room": room}, protocol=SESSIONLESS, token=token, **more))


def answered(state: str) -> dict[str, Any]:
    """What the client adds to a call that goes on."""
    guest = {"action": "accept", "content": {"guest": "Ada"}}
    return {"requestState": state, "inputResponses": {"guest": guest}}


async def state_of(http: httpx2.AsyncClient, **how: Any) -> str:  # noqa: ANN401 - as for `ask_for_room`
    """The sealed state that the first round gives the client."""
    first = result(await ask_for_room(http, **how))
    assert first["resultType"] == "input_required"
    return first["requestState"]


def refused_state(response: httpx2.Response) -> dict[str, Any]:
    error = response.json()["error"]
    assert error["code"] == -32602
    assert error["data"] == {"reason": "invalid_request_state"}
    return error


async def test_value_of_a_session_is_read_on_another_instance(settings: Settings) -> None:
    store = MemoryStore()
    async with instance(settings, store=store) as one, instance(settings, store=store) as other:
        assert structured(await call(one, "keep", text="tea")) == {"result": "tea"}
        assert structured(await call(other, "kept")) == {"result": "tea"}


async def test_server_that_completes_nothing_says_so_whatever_is_asked_for(settings: Settings) -> None:
    asked = {"ref": {"type": "ref/prompt", "name": "nonesuch"}, "argument": {"name": "region", "value": "a"}}
    async with instance(settings, definition=replace(SERVER, complete=None)) as http:
        answer = await http.post("/mcp", **request("completion/complete", asked, token=ALICE))
    assert protocol_error(answer)["code"] == -32601


async def test_value_of_a_session_is_its_caller_s_alone(settings: Settings) -> None:
    async with instance(settings) as http:
        await call(http, "keep", text="tea")
        assert structured(await call(http, "kept", token=BOB)) == {"result": ""}
        await call(http, "keep", text="milk", token=BOB)
        assert structured(await call(http, "kept")) == {"result": "tea"}


async def test_value_of_a_session_ends(load_settings: Callable[..., Settings]) -> None:
    store = MemoryStore()
    async with instance(load_settings(MCP_SESSION_DAYS="2"), store=store) as http:
        await call(http, "keep", text="tea")
    (key,) = await store.keys(collection="fastmcp_state")
    _, seconds = await store.ttl(key, collection="fastmcp_state")
    assert seconds is not None
    assert 2 * 24 * 3600 - 60 < seconds <= 2 * 24 * 3600


async def test_conversation_goes_on_at_another_instance(settings: Settings) -> None:
    async with instance(settings) as one, instance(settings) as other:
        state = await state_of(one)
        finished = structured(await ask_for_room(other, **answered(state)))
    assert finished == {"result": "Ada; secret price of 101: 42"}


async def test_state_of_a_conversation_is_sealed(settings: Settings) -> None:
    async with instance(settings) as http:
        first, second = await state_of(http), await state_of(http)
    assert "secret price" not in first
    assert first != second


async def test_conversation_goes_on_after_a_rotation(settings: Settings) -> None:
    async with (
        instance(settings, keys=KeyRing((OLD_KEY,))) as before,
        instance(settings, keys=KeyRing((NEW_KEY, OLD_KEY))) as after,
        instance(settings, keys=KeyRing((NEW_KEY,))) as later,
    ):
        state = await state_of(before)
        assert structured(await ask_for_room(after, **answered(state)))["result"].startswith("Ada; ")
        # The newest key seals: an instance that no longer has the old one reads it.
        renewed = await state_of(after)
        assert structured(await ask_for_room(later, **answered(renewed)))["result"].startswith("Ada; ")
        refused_state(await ask_for_room(later, **answered(state)))


async def test_state_under_a_foreign_key_is_refused(settings: Settings) -> None:
    async with instance(settings, keys=KeyRing((NEW_KEY,))) as foreign, instance(settings) as http:
        refused_state(await ask_for_room(http, **answered(await state_of(foreign))))


async def test_state_of_another_server_with_the_same_keys_is_refused(
    settings: Settings, load_settings: Callable[..., Settings]
) -> None:
    namesake = load_settings(MCP_BASE_URL="http://localhost:7071", MCP_SERVER_NAME="Fabrikam tools")
    async with instance(namesake) as foreign, instance(settings) as http:
        refused_state(await ask_for_room(http, **answered(await state_of(foreign))))


@pytest.mark.parametrize(("token", "room"), [(BOB, "101"), (ALICE, "102")])
async def test_state_is_good_for_its_caller_and_its_arguments_alone(settings: Settings, token: str, room: str) -> None:
    async with instance(settings) as http:
        state = await state_of(http)
        refused_state(await ask_for_room(http, token=token, room=room, **answered(state)))


@pytest.mark.parametrize("state", ["", "v1.", "secret price of 101: 42", "v1.AAAA", "v2.AAAA"])
async def test_invented_state_is_refused(settings: Settings, state: str) -> None:
    async with instance(settings) as http:
        refused_state(await ask_for_room(http, **answered(state)))


async def test_failure_of_a_tool_is_told_in_the_log_alone(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("fastmcp"), "propagate", True)
    async with instance(settings) as http:
        response = await call(http, "fail")
    assert refusal(response) == "Error calling tool 'fail'"
    assert "hunter2" not in response.text
    assert "contoso.internal" not in response.text
    assert "ValueError: password=" in caplog.text
    assert "db.contoso.internal" in caplog.text
    assert "Traceback" in caplog.text
    assert "Tool fail failed" not in caplog.text, "once is enough"
    assert "test_create.py" in caplog.text


@pytest.mark.parametrize(
    ("status", "told"),
    [(500, "Error calling tool 'fetch'"), (429, "Rate limited by upstream API, please retry later")],
)
async def test_answer_of_another_api_that_a_tool_refuses_is_told_in_the_log_alone(
    settings: Settings, caplog: pytest.LogCaptureFixture, status: int, told: str
) -> None:
    async with instance(settings) as http:
        response = await call(http, "fetch", status=status)
    assert refusal(response) == told
    assert "contoso.internal" not in response.text
    assert f"'{status} " in caplog.text
    assert "orders.contoso.internal" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_tool_whose_own_waiting_is_cancelled_fails_as_any_other(
    settings: Settings, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    async with instance(settings) as http:
        response = await http.post("/mcp", **tool_call("wait", protocol=protocol, token=ALICE))
    assert refusal(response) == "Error calling tool 'wait'"
    assert "hunter2" not in response.text
    assert "What tool wait waited for was cancelled" in caplog.text
    assert "Traceback" in caplog.text


async def test_refusal_of_a_tool_reaches_the_client_and_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with instance(settings) as http:
        assert refusal(await call(http, "refuse")) == "The room is taken."
    assert "ToolError: The room is taken." in caplog.text
    assert "test_create.py" in caplog.text


async def test_unknown_tool_is_refused(settings: Settings) -> None:
    async with instance(settings) as http:
        error = protocol_error(await call(http, "nonesuch"))
    assert error == {"code": -32602, "message": "Unknown tool: 'nonesuch'"}


@pytest.mark.parametrize("token", [None, "token-of-nobody"])
async def test_caller_without_a_good_token_reaches_no_tool(settings: Settings, token: str | None) -> None:
    async with instance(settings) as http:
        assert (await http.post("/mcp", **tool_call("kept", token=token))).status_code == 401


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "resources/templates/list", "prompts/list"])
async def test_lists_may_be_kept_for_a_while_by_their_caller(settings: Settings, method: str) -> None:
    async with instance(settings) as http:
        listed = result(await http.post("/mcp", **request(method, protocol=SESSIONLESS, token=ALICE)))
    assert (listed["ttlMs"], listed["cacheScope"]) == (CACHE_SECONDS * 1000, "private")


@pytest.mark.parametrize("protocol", ["2025-06-18", "2025-11-25", SESSIONLESS])
async def test_change_of_a_list_is_not_promised(settings: Settings, protocol: str) -> None:
    handshake = {"protocolVersion": protocol, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    first = ("server/discover", None) if protocol == SESSIONLESS else ("initialize", handshake)
    async with instance(settings) as http:
        offered = result(await http.post("/mcp", **request(*first, protocol=protocol, token=ALICE)))["capabilities"]
    assert [offered[each]["listChanged"] for each in ("prompts", "resources", "tools")] == [False] * 3
    assert offered["resources"]["subscribe"] is False


@pytest.mark.parametrize("in_place", [True, False])
async def test_definitions_of_a_schema_stand_where_they_are_used(settings: Settings, in_place: bool) -> None:
    definition = replace(SERVER, dereference_schemas=in_place)
    async with instance(settings, tools=[deliver], definition=definition) as http:
        listed = result(await http.post("/mcp", **request("tools/list", token=ALICE)))["tools"]
    (schema,) = [tool["inputSchema"] for tool in listed if tool["name"] == "deliver"]
    assert ("$defs" in schema) is not in_place
    assert (schema["properties"]["to"] == {"$ref": "#/$defs/Address"}) is not in_place


@pytest.mark.parametrize("address", ["report://catalogue", "report://orders/2024/asia"])
async def test_resources_may_be_kept_for_a_while_by_their_caller(settings: Settings, address: str) -> None:
    async with instance(settings) as http:
        sent = request("resources/read", {"uri": address}, protocol=SESSIONLESS, token=ALICE)
        found = result(await http.post("/mcp", **sent))
    assert (found["ttlMs"], found["cacheScope"]) == (CACHE_SECONDS * 1000, "private")


@pytest.mark.parametrize(
    ("method", "listed"),
    [("resources/list", "resources"), ("resources/templates/list", "resourceTemplates"), ("prompts/list", "prompts")],
)
async def test_what_is_no_tool_is_described_as_tools_are(settings: Settings, method: str, listed: str) -> None:
    async with instance(settings) as http:
        found = result(await http.post("/mcp", **request(method, token=ALICE)))[listed]
    assert found
    for each in found:
        assert each["description"]
        assert each["icons"][0]["src"].startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize(("token", "offered"), [(ALICE, False), (BOB, False), (ADMIN, True)])
async def test_tool_of_administrators_is_there_for_them_alone(settings: Settings, token: str, offered: bool) -> None:
    async with instance(settings) as http:
        listed = result(await http.post("/mcp", **request("tools/list", token=token)))
        answer = await call(http, "admin_stats", token=token)
    assert ("admin_stats" in {tool["name"] for tool in listed["tools"]}) is offered
    if offered:
        assert structured(answer)["token_exchanges"] == 0
    else:
        assert protocol_error(answer) == {"code": -32602, "message": "Unknown tool: 'admin_stats'"}


async def test_server_introduces_itself(settings: Settings) -> None:
    async with served(settings) as server:
        pass
    assert (server.name, server.website_url) == ("Contoso tools", "http://localhost:7071")
    assert server.instructions
    (icon,) = server.icons
    assert icon.src.startswith("data:image/svg+xml;base64,")


async def test_clients_see_the_version_of_this_repository(settings: Settings) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    async with instance(settings) as http:
        found = result(await http.post("/mcp", **request("server/discover", protocol=SESSIONLESS, token=ALICE)))
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["version"] == project["version"]
