"""What the application reports about itself, over HTTP and kept in memory: spans, metrics, and nothing about people."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from entra_mcp.app import purge_expired
from entra_mcp.auth.entra.verifier import EntraTokenVerifier
from entra_mcp.errors import StorageError
from entra_mcp.storage.table import Table
from entra_mcp.web.time_limits import RequestDeadline
from local.config import REPOSITORY
from tests.engine.flows.conftest import COLLECTOR, over
from tests.support.app.server import running_app
from tests.support.fault_proxy import fault_proxy
from tests.support.mcp import SESSIONLESS, request, structured, tool_call
from tests.support.oauth import OAuthClient
from tests.support.purging import count, fill_table

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import Any

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from tests.support.telemetry import Seen

TRACE, HOST_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{HOST_SPAN}-00"
"""As a Functions host sends it that does not record the trace itself."""

CLIENT_TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLIENT_PARENT = f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01"


@pytest.fixture
def seen(seen: Seen, environment: Callable[..., None]) -> Seen:
    """What an application shows that has a collector to send to."""
    environment(OTEL_EXPORTER_OTLP_ENDPOINT=COLLECTOR)
    return seen


@asynccontextmanager
async def started(seen: Seen) -> AsyncGenerator[OAuthClient]:
    async with running_app() as app, over(app) as http:
        seen.exporter.clear()
        yield OAuthClient(http=http)


def only(spans: list[ReadableSpan]) -> ReadableSpan:
    (span,) = spans
    return span


def ids(span: ReadableSpan) -> SpanContext:
    assert span.context is not None
    return span.context


def under(span: ReadableSpan, seen: Seen) -> list[ReadableSpan]:
    """All spans below one, however deep."""
    children = [each for each in seen.spans() if each.parent and each.parent.span_id == ids(span).span_id]
    return [*children, *(each for child in children for each in under(child, seen))]


def addresses(spans: list[ReadableSpan]) -> set[str]:
    """What the spans' requests went to."""
    found = [span.attributes or {} for span in spans]
    return {str(attributes.get("url.full") or attributes.get("http.url")) for attributes in found}


async def test_tool_call_is_one_tree_in_the_trace_of_the_host(seen: Seen) -> None:
    async with started(seen) as client:
        token = (await client.sign_in())["access_token"]
        seen.exporter.clear()
        client.http.headers["traceparent"] = TRACEPARENT
        structured(await client.call(token, "graph_me"))
    edge = only(seen.named("POST /mcp"))
    assert edge.parent is not None
    assert format_span_id(edge.parent.span_id) == HOST_SPAN
    assert edge.kind is SpanKind.INTERNAL, "the host has counted the request already"
    assert {format_trace_id(ids(span).trace_id) for span in seen.spans()} == {TRACE}
    assert set(under(edge, seen)) == set(seen.spans()) - {edge}
    call = only(seen.named("tools/call graph_me"))
    assert call.kind is SpanKind.SERVER
    below = addresses(under(call, seen))
    assert any(address.endswith("/oauth2/v2.0/token") for address in below), "on behalf of the caller"
    assert any(address.endswith("/graph/v1.0/me") for address in below)
    assert any(address.endswith("/T*()") for address in addresses(under(edge, seen))), "the row that authenticates it"


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
@pytest.mark.parametrize("header", [TRACEPARENT, None])
async def test_trace_in_the_message_is_linked_and_not_continued(seen: Seen, protocol: str, header: str | None) -> None:
    async with started(seen) as client:
        token = (await client.sign_in())["access_token"]
        seen.exporter.clear()
        sent = tool_call("add", {"a": 1, "b": 1}, protocol=protocol, token=token, meta={"traceparent": CLIENT_PARENT})
        headers = sent["headers"] | ({"traceparent": header} if header else {})
        response = await client.http.post("/mcp", headers=headers, json=sent["json"])
        structured(response)
    trace_id = response.headers["x-correlation-id"]
    assert trace_id == TRACE if header else trace_id not in {TRACE, CLIENT_TRACE}
    assert {format_trace_id(ids(span).trace_id) for span in seen.spans()} == {trace_id}
    (link,) = only(seen.named("tools/call add")).links
    assert (format_trace_id(link.context.trace_id), format_span_id(link.context.span_id)) == (CLIENT_TRACE, CLIENT_SPAN)
    assert not link.attributes


@pytest.mark.parametrize("named", ["made_up", f"00-{'0' * 32}-00f067aa0ba902b7-01", 5, {"made": "up"}])
async def test_trace_in_the_message_that_is_none_links_to_nothing(seen: Seen, named: object) -> None:
    async with started(seen) as client:
        token = (await client.sign_in())["access_token"]
        meta = {"traceparent": named, "tracestate": "made_up=made_up", "baggage": "made_up=made_up"}
        structured(await client.http.post("/mcp", **tool_call("add", {"a": 1, "b": 1}, token=token, meta=meta)))
        told = seen.text()
    assert not only(seen.named("tools/call add")).links
    assert "made_up" not in told


async def test_request_without_a_trace_begins_one(seen: Seen) -> None:
    async with started(seen) as client:
        await client.http.get("/")
        await client.http.get("/", headers={"traceparent": "00-nonsense"})
    first, second = seen.named("GET /")
    assert first.parent is None
    assert second.parent is None
    assert ids(first).trace_id != ids(second).trace_id


async def test_login_shows_storage_and_entra_below_each_step(seen: Seen) -> None:
    async with started(seen) as client:
        await client.sign_in()
    for step in (
        "POST /register",
        "GET /authorize",
        "GET /consent",
        "POST /consent",
        "GET /auth/callback",
        "POST /token",
    ):
        assert any(span.name.startswith("TableClient.") for span in under(only(seen.named(step)), seen)), step
    addresses = [
        str((span.attributes or {}).get("http.url")) for span in under(only(seen.named("GET /auth/callback")), seen)
    ]
    assert any(address.endswith("/oauth2/v2.0/token") for address in addresses)


async def test_start_is_one_tree_with_key_vault(seen: Seen) -> None:
    async with running_app():
        start = only(seen.named("start"))
    assert {"SecretClient.get_secret", "TableClient.create_table"} <= {span.name for span in under(start, seen)}


async def test_nothing_personal_leaves_but_the_object_id(seen: Seen) -> None:
    async with started(seen) as client:
        tokens = await client.sign_in()
        who = structured(await client.call(tokens["access_token"], "whoami"))
        await client.call(tokens["access_token"], "graph_me")
        await client.call(tokens["access_token"], "jane@contoso.com")
        await client.call(tokens["access_token"], "add", {"a": "hunter2", "b": 1})
        await client.call("hunter2", "whoami")
        await client.http.get("/hunter2?code=hunter2")
        refreshed = (await client.refresh(tokens["refresh_token"])).json()
        told = seen.text()
    secrets = [tokens["access_token"], tokens["refresh_token"], refreshed["access_token"], refreshed["refresh_token"]]
    personal = [who["name"], who["username"], "jane@contoso.com", "hunter2", client.client_id, client.state]
    assert [each for each in (*secrets, *personal) if each in told] == []
    call = only(seen.named("tools/call whoami"))
    assert (call.attributes or {})["enduser.id"] == who["object_id"]


async def test_metrics_count_what_clients_and_people_did(
    seen: Seen, entra: Callable[..., Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("sign_ins", "refreshes", "refusals", "cache.lookups")
    before = {name: seen.points(f"entra_mcp.{name}") for name in names}
    calls_before = seen.points("mcp.server.operation.duration")
    async with started(seen) as client:
        tokens = await client.sign_in()
        for _ in range(3):
            await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})
        await client.call(tokens["access_token"], "nonsense")
        await client.call("bad", "add")
        await client.redeem("made up")
        await client.refresh(tokens["refresh_token"])
        await entra("POST", "/faults", {"code": 50076, "grant_type": "refresh_token"})
        refreshed = (await client.refresh(tokens["refresh_token"])).json()
        await client.refresh(refreshed["refresh_token"])

        async def none(*_: object) -> None:
            await asyncio.sleep(0)

        monkeypatch.setattr(EntraTokenVerifier, "load_access_token", none)
        await client.callback((await client.consent(await client.consent_page())).headers["location"])
    grown = {name: grew(before[name], seen.points(f"entra_mcp.{name}")) for name in names}
    assert grown["sign_ins"] == {(("outcome", "completed"),): 1, (("outcome", "refused"),): 1}
    assert grown["refreshes"] == {(("outcome", "completed"),): 2, (("outcome", "refused"),): 1}
    assert grown["refusals"] == {
        (("http.response.status_code", 400), ("http.route", "/token")): 2,
        (("http.response.status_code", 401), ("http.route", "/mcp")): 1,
    }
    assert grown["cache.lookups"][("collection", "mcp-upstream-tokens"), ("hit", True)] == 3
    assert grown["cache.lookups"][("collection", "mcp-upstream-tokens"), ("hit", False)] >= 1
    calls = grew(calls_before, seen.points("mcp.server.operation.duration"))
    assert calls[("gen_ai.tool.name", "add"), ("mcp.method.name", "tools/call")] == 3
    assert calls[("error.type", "not_found"), ("mcp.method.name", "tools/call")] == 1
    assert "nonsense" not in str(calls)


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_nothing_that_a_client_makes_up_leaves(seen: Seen, protocol: str) -> None:
    async with started(seen) as client:
        token = (await client.sign_in())["access_token"]
        client.http.headers["tracestate"] = "made_up=made_up"
        client.http.headers["traceparent"] = TRACEPARENT
        client.http.headers["baggage"] = "made_up=made_up"
        for method, params in (
            ("made_up", {}),
            ("made_up/call", {"name": "made_up"}),
            ("prompts/get", {"name": "made_up"}),
            ("resources/read", {"uri": "made://up/made_up"}),
            (
                "completion/complete",
                {"ref": {"type": "ref/prompt", "name": "made_up"}, "argument": {"name": "made_up"}},
            ),
            ("tools/call", {"name": "made_up", "arguments": {"made_up": "made_up"}}),
            ("logging/setLevel", {"level": "made_up"}),
        ):
            sent = request(method, params, protocol=protocol, token=token, meta={"progressToken": "made_up"})
            await client.http.post("/mcp", **sent)
        await client.http.request("MADE_UP", "/made_up")
        told = seen.text()
    assert "made_up" not in told.lower()
    assert only(seen.named("_OTHER other")).status.status_code is StatusCode.UNSET
    calls = seen.points("mcp.server.operation.duration")
    assert calls[("error.type", "MCPError"), ("mcp.method.name", "unknown")] >= 2


def grew(before: dict[Any, int], after: dict[Any, int]) -> dict[Any, int]:
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


async def test_outage_is_a_failed_span_and_a_refusal(seen: Seen, entra: Callable[..., Awaitable[Any]]) -> None:
    before = seen.points("entra_mcp.refreshes")
    async with started(seen) as client:
        tokens = await client.sign_in()
        seen.exporter.clear()
        await entra("POST", "/faults", {"code": 90033, "status": 503, "grant_type": "refresh_token"})
        assert (await client.refresh(tokens["refresh_token"])).status_code == 503
    assert only(seen.named("POST /token")).status.status_code is StatusCode.ERROR
    assert grew(before, seen.points("entra_mcp.refreshes")) == {(("outcome", "unavailable"),): 1}


async def test_purge_counts_its_rows_in_a_trace_of_its_own(
    environment: Callable[..., None], azurite: str, seen: Seen
) -> None:
    environment(OTEL_EXPORTER_OTLP_ENDPOINT=COLLECTOR, MCP_TABLE_NAME="PurgedAndCounted")
    before = seen.points("entra_mcp.purge.rows")
    async with Table.from_connection_string(azurite, name="PurgedAndCounted") as table:
        await table.create()
        await fill_table(table, expired=7, living=2)
    await purge_expired()
    assert only(seen.named("purge")).parent is None
    assert seen.points("entra_mcp.purge.duration")[(("finished", True),)] >= 1
    assert grew(before, seen.points("entra_mcp.purge.rows")) == {(("result", "deleted"),): 7}


async def test_purge_that_fails_half_way_tells_what_it_did(
    environment: Callable[..., None], azurite: str, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    name = "PurgedHalfWay"
    rows, purges = seen.points("entra_mcp.purge.rows"), seen.points("entra_mcp.purge.duration")
    async with fault_proxy(azurite) as (proxy, connection_string):
        environment(OTEL_EXPORTER_OTLP_ENDPOINT=COLLECTOR, AzureWebJobsStorage=connection_string, MCP_TABLE_NAME=name)
        async with Table.from_connection_string(azurite, name=name) as table:
            await table.create()
            await fill_table(table, expired=400, living=2)
            proxy.break_next(403, method="POST", times=1_000_000)
            proxy.skip = 5
            with caplog.at_level(logging.INFO), pytest.raises(StorageError):
                await purge_expired()
            deleted = 402 - await count(table)
    assert deleted > 5
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Purge: ")]
    assert line.startswith(f"Purge: {deleted} rows deleted, 0 renewed meanwhile, ")
    assert line.endswith(" s, to be continued.")
    assert grew(rows, seen.points("entra_mcp.purge.rows")) == {(("result", "deleted"),): deleted}
    assert grew(purges, seen.points("entra_mcp.purge.duration")) == {(("finished", False),): 1}
    assert only(seen.named("purge")).status.status_code is StatusCode.ERROR


def test_without_a_place_to_send_to_nothing_of_the_sdk_is_loaded() -> None:
    program = """
import sys
from entra_mcp import app
from entra_mcp.settings import Settings
from entra_mcp.telemetry import Telemetry, start_telemetry

settings = Settings.model_construct(application_insights=None, otlp_endpoint=None)
assert type(start_telemetry(settings)) is Telemetry
costly = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation", "opentelemetry.metrics")
print([name for name in sys.modules if name.startswith((*costly, "azure.monitor", "google.protobuf", "wrapt"))])
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_call_that_ran_into_its_limit_is_a_failed_span(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr("entra_mcp.web.stack.RequestDeadline", partial(RequestDeadline, seconds=0.5))
    async with started(seen) as client:
        token = (await client.sign_in())["access_token"]
        called = tool_call("count_slowly", {"to": 3, "seconds_each": 10}, token=token, protocol=protocol)
        assert "took longer than 0.5 s" in (await client.http.post("/mcp", **called)).text
    call = only(seen.named("tools/call count_slowly"))
    assert call.status.status_code is StatusCode.ERROR
    assert (call.attributes or {})["error.type"] == "timeout"
