"""The viewer of traces: what real exporters send is shown, and nothing of it can harm whoever looks."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import httpx2
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from local.traces import app
from local.traces.app import MAX_BYTES, PROTOBUF, Traces
from local.traces.page import tree
from tests.support.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.trace import Tracer

    from tests.local.place import Place

TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = Program("local.traces", log=tmp_path_factory.mktemp("traces") / "traces.log")
    yield program.start("--port", "0")["traces"]
    program.stop()


@pytest.fixture
def page(viewer: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=viewer) as http:
        yield http


@pytest.fixture
def tracer(viewer: str) -> Iterator[Tracer]:
    provider = TracerProvider(resource=Resource.create({"service.name": "tested"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{viewer}/v1/traces")))
    yield provider.get_tracer("test")
    provider.shutdown()


def span(span_id: str, parent_id: str = "", *, start: int = 0) -> Span:
    return Span(
        trace_id=b"t",
        span_id=span_id.encode(),
        parent_span_id=parent_id.encode(),
        name=span_id,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 1,
    )


def nested(*spans: Span) -> list[tuple[int, str]]:
    return [(depth, each.name) for depth, each in tree({each.span_id: each for each in spans})]


def test_trace_of_a_real_exporter_is_shown(page: httpx2.Client, tracer: Tracer) -> None:
    with (
        tracer.start_as_current_span("POST /mcp", attributes={"http.response.status_code": 200}),
        tracer.start_as_current_span("tools/call add", kind=SpanKind.SERVER) as call,
    ):
        call.set_attributes({"enduser.id": "an object id", "of": ("a", "b"), "is": True, "share": 0.5})
        call.set_status(StatusCode.ERROR)
    html = page.get("/").text
    assert f'<details id="{call.get_span_context().trace_id:032x}">' in html
    assert '<b class="failed">POST /mcp · tools/call add</b>' in html
    assert html.index("POST /mcp <small>200<") < html.index("tools/call add <small>an object id<")
    for told in ("of = a, b", "is = True", "share = 0.5", "2 spans"):
        assert told in html


def test_metrics_of_a_real_exporter_are_shown(page: httpx2.Client, viewer: str) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{viewer}/v1/metrics"))
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("test")
    meter.create_counter("things").add(3, {"kind": "good"})
    meter.create_histogram("waits", unit="s").record(1.5)
    meter.create_histogram("waits", unit="s").record(0.5)
    provider.force_flush()
    provider.shutdown()
    html = page.get("/").text
    assert "<b>things</b> <small>kind=good</small> <span>3</span>" in html
    assert "2 times, 1 s on average" in html


def test_what_a_client_sent_is_text_and_nothing_else(page: httpx2.Client, tracer: Tracer) -> None:
    hostile = "<script>alert(1)</script>\"'>"
    tracer.start_span(hostile, attributes={hostile: hostile, "url.full": f"http://x/{hostile}"}).end()
    response = page.get("/")
    assert "<script" not in response.text
    assert response.text.count("&lt;script&gt;") >= 4
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


async def test_page_is_empty_before_anything_came() -> None:
    transport = httpx2.ASGITransport(app=Traces().app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:1") as http:
        assert "Nothing has been received yet" in (await http.get("/")).text


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": "text/plain"}, b"", 415),
        ({"content-type": PROTOBUF, "content-encoding": "gzip"}, b"", 415),
        ({"content-type": PROTOBUF}, b"\xff\xff\xff nonsense", 400),
        ({"content-type": PROTOBUF, "content-length": str(MAX_BYTES + 1)}, b"", 413),
        ({"content-type": PROTOBUF, "host": "evil.example"}, b"", 421),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics"])
async def test_body_that_is_not_otlp_is_refused(path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    transport = httpx2.ASGITransport(app=Traces().app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:1") as http:
        assert (await http.post(path, content=body, headers=headers)).status_code == status


def test_tree_puts_parents_first_and_keeps_who_has_none() -> None:
    spans = [span("c", "b", start=2), span("b", "a", start=1), span("a", "the host's"), span("d", "a", start=3)]
    assert nested(*spans) == [(0, "a"), (1, "b"), (2, "c"), (1, "d")]


def test_tree_of_spans_that_are_each_other_s_parents_ends() -> None:
    assert nested(span("a", "b"), span("b", "a"), span("c", "c")) == [(0, "a"), (0, "b"), (0, "c")]


async def test_oldest_traces_and_further_spans_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_TRACES", 2)
    monkeypatch.setattr(app, "MAX_SPANS", 3)
    transport = httpx2.ASGITransport(app=Traces().app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:1") as http:
        for trace in ("1", "2", "3"):
            spans = [span(f"s{number}", start=int(trace)) for number in range(5)]
            for each in spans:
                each.trace_id = trace.encode()
            sent = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
            headers = {"content-type": PROTOBUF}
            assert (await http.post("/v1/traces", content=sent.SerializeToString(), headers=headers)).is_success
        html = (await http.get("/")).text
    assert re.findall(r'<details id="(\w+)">', html) == ["33", "32"]
    assert html.count("3 spans") == 2


@pytest.mark.long
def test_traced_run_shows_the_login_and_the_tools(place: Place) -> None:
    process, said, _ = place.up("run", "--trace")
    viewer = f"http://localhost:{place.ports['traces']}"
    assert viewer in said
    wanted = (
        "start",
        "POST /register",
        "GET /auth/callback",
        "POST /token",
        "tools/call graph_me",
        "entra_mcp.sign_ins",
    )
    server = f"http://localhost:{place.ports['functions']}"
    answer = httpx2.get(f"{server}/nothing", headers={"traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01"}, trust_env=False)
    assert answer.headers["x-correlation-id"] == TRACE
    shown = [*wanted, f'<details id="{TRACE}">']
    with httpx2.Client(base_url=viewer, trust_env=False, timeout=60) as http:
        while [each for each in shown if each not in (html := http.get("/").text)]:
            time.sleep(0.2)
    joined = html.partition(f'<details id="{TRACE}">')[2].partition("</details>")[0]
    assert "GET other" in joined
    process.terminate()
    assert process.wait(60) == 0
    log = (place.home / "logs" / "functions.log").read_text("utf-8")
    assert f"correlation id {TRACE}" in log


def test_taken_port_of_the_viewer_matters_to_a_traced_run_only(place: Place, tmp_path: Path) -> None:
    program = Program("local.traces", log=tmp_path / "traces.log")
    program.start("--port", str(place.ports["traces"]))
    try:
        code, output = place.finish("run", "--check", "--trace")
    finally:
        program.stop()
    assert code == 3
    assert "TRACES_PORT" in output
