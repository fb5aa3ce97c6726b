"""Requests that are wrong get the error that the specification names, also while telemetry watches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from entra_mcp.server.component_errors import MAX_CHARACTERS
from tests.engine.flows.conftest import COLLECTOR, started
from tests.support.mcp import SESSIONLESS, protocol_error, refusal, request, result, tool_call
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tests.support.oauth import OAuthClient
    from tests.support.telemetry import Seen

PROTOCOLS = ("2025-11-25", SESSIONLESS)

INVALID_REQUEST, INVALID_PARAMS, METHOD_NOT_FOUND = -32600, -32602, -32601

REGION = {"argument": {"name": "region", "value": "a"}}
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")


@pytest_asyncio.fixture(loop_scope="module", params=["telemetry off", "telemetry on"])
async def client(
    request: pytest.FixtureRequest, environment: Callable[..., None], seen: Seen
) -> AsyncIterator[OAuthClient]:
    collector = COLLECTOR if request.param == "telemetry on" else None
    async with in_own_task(started(environment, OTEL_EXPORTER_OTLP_ENDPOINT=collector)) as client:
        yield client
    watched = any(span.name.startswith("POST /mcp") for span in seen.spans())
    assert watched is (request.param == "telemetry on")


async def asked(
    client: OAuthClient, method: str, params: Mapping[str, Any], *, protocol: str, token: str
) -> dict[str, Any]:
    """The error that answers a request, which must not be one of the server's own."""
    sent = request(method, dict(params), protocol=protocol, token=token)
    sent["headers"] = {name: str(value) for name, value in sent["headers"].items()}
    response = await client.http.post("/mcp", **sent)
    assert response.status_code in {200, 400, 404}
    return protocol_error(response)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_request_that_is_wrong_is_told_so(client: OAuthClient, protocol: str) -> None:
    token = (await client.sign_in())["access_token"]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("tools/call", {"name": "add", "arguments": [1]}),
        ("tools/call", {"arguments": {}}),
        ("tools/call", {"name": "nonesuch"}),
        ("tools/call", {"name": "admin_stats"}),
        ("prompts/get", {"name": "nonesuch"}),
        ("prompts/get", {"name": "review_orders"}),
        ("prompts/get", {"name": "review_orders", "arguments": {"year": "2026"}}),
        ("prompts/get", {"name": "review_orders", "arguments": {"year": "x", "region": "asia"}}),
        ("prompts/get", {"name": "review_orders", "arguments": [1]}),
        ("resources/read", {"uri": "report://nonesuch"}),
        ("resources/read", {}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "nonesuch"}, **REGION}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "report://nonesuch/{x}"}, **REGION}),
        ("completion/complete", {"ref": {"type": "ref/nonesuch", "name": "review_orders"}, **REGION}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "review_orders"}}),
        *((each, {"cursor": cursor}) for each in LISTS for cursor in ("nonesuch", "eyJvIjotMX0=", 5)),
    ]
    for method, params in wrong:
        error = await asked(client, method, params, protocol=protocol, token=token)
        assert error["code"] == INVALID_PARAMS, (method, params, error)
        assert "Error" not in error["message"] or "Could not convert" in error["message"], (method, params, error)
    unknown = await asked(client, "tools/nonesuch", {}, protocol=protocol, token=token)
    assert unknown["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_body_that_is_no_request_is_an_invalid_one(client: OAuthClient, protocol: str) -> None:
    token = (await client.sign_in())["access_token"]
    call = tool_call("add", {"a": 1, "b": 1}, protocol=protocol, token=token)
    bodies: list[object] = [
        *({**call["json"], "id": wrong} for wrong in (None, True, 1.5, [1])),
        {**call["json"], "jsonrpc": "1.0"},
        {**call["json"], "params": [1]},
        [call["json"]],
        "ping",
    ]
    for body in bodies:
        response = await client.http.post("/mcp", headers=call["headers"], json=body)
        assert response.status_code == 400, body
        assert protocol_error(response)["code"] == INVALID_REQUEST, body


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_arguments_that_do_not_fit_are_told_to_the_model_in_short(client: OAuthClient, protocol: str) -> None:
    token = (await client.sign_in())["access_token"]
    unknown = {f"k{number}": "x" * 40 for number in range(500)}
    response = await client.http.post("/mcp", **tool_call("add", unknown, protocol=protocol, token=token))
    assert MAX_CHARACTERS < len(refusal(response)) < MAX_CHARACTERS + 100
    year = {"year": "x" * 100_000, "region": "asia"}
    error = await asked(
        client, "prompts/get", {"name": "review_orders", "arguments": year}, protocol=protocol, token=token
    )
    assert len(error["message"]) < MAX_CHARACTERS + 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_is_right_goes_on_to_be_answered(client: OAuthClient, protocol: str) -> None:
    token = (await client.sign_in())["access_token"]

    async def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
        return result(await client.http.post("/mcp", **request(method, params, protocol=protocol, token=token)))

    prompt = {"ref": {"type": "ref/prompt", "name": "review_orders"}, **REGION}
    template = {"ref": {"type": "ref/resource", "uri": "report://orders/{year}/{region}"}, **REGION}
    assert (await answer("completion/complete", prompt))["completion"]["values"] == ["asia"]
    assert (await answer("completion/complete", template))["completion"]["values"] == ["asia"]
    arguments = {"year": "2026", "region": "asia"}
    assert (await answer("prompts/get", {"name": "review_orders", "arguments": arguments}))["messages"]
    for method in LISTS:
        assert "nextCursor" not in await answer(method, {})
