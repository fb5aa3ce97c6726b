"""The viewer of traces: what real exporters send is shown, and nothing of it can harm whoever looks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx2
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from local.traces.app import MOST_BYTES, PROTOBUF, Traces
from local.traces.kept import Kept, Trace
from local.traces.otlp import Span
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
        http.post("/clear")
        yield http


@pytest.fixture
def tracer(viewer: str) -> Iterator[Tracer]:
    provider = TracerProvider(resource=Resource.create({"service.name": "tested"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{viewer}/v1/traces")))
    yield provider.get_tracer("test")
    provider.shutdown()


def span(span_id: str, parent_id: str = "", *, trace_id: str = "t", start: int = 0) -> Span:
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=span_id,
        kind="internal",
        service="s",
        start=start,
        end=start + 1,
        failed=False,
        attributes={},
    )


def test_trace_of_a_real_exporter_is_shown(page: httpx2.Client, tracer: Tracer) -> None:
    with (
        tracer.start_as_current_span("POST /mcp", attributes={"http.response.status_code": 200}),
        tracer.start_as_current_span("tools/call add", kind=SpanKind.SERVER) as call,
    ):
        call.set_attributes({"enduser.id": "an object id", "of": ("a", "b"), "is": True, "share": 0.5})
        call.set_status(StatusCode.ERROR)
    html = page.get("/").text
    assert "POST /mcp · tools/call add" in html
    assert '<b class="failed">' in html
    assert html.index("POST /mcp <span") < html.index("tools/call add <span")
    for told in ("an object id", "tested, server", "of = a, b", "is = true", "share = 0.5", "2 spans"):
        assert told in html
    one = page.get(f"/traces/{format(call.get_span_context().trace_id, '032x')}")
    assert "<details" in one.text
    assert " open>" in one.text


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
    assert "<td>things</td><td>kind=good</td><td>3</td>" in html
    assert "2 times, 1 s on average" in html


def test_what_a_client_sent_is_text_and_nothing_else(page: httpx2.Client, tracer: Tracer) -> None:
    hostile = "<script>alert(1)</script>\"'>"
    tracer.start_span(hostile, attributes={hostile: hostile, "url.full": f"http://x/{hostile}"}).end()
    response = page.get("/")
    assert "<script" not in response.text
    assert response.text.count("&lt;script&gt;") >= 4
    assert response.headers["content-security-policy"].startswith("default-src 'none'")


def test_cleared_page_is_empty(page: httpx2.Client, tracer: Tracer) -> None:
    tracer.start_span("gone").end()
    assert "gone" in page.get("/").text
    assert page.post("/clear").status_code == 303
    assert "Nothing has been received yet" in page.get("/").text
    assert page.get("/traces/gone").status_code == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": "text/plain"}, b"", 415),
        ({"content-type": PROTOBUF, "content-encoding": "gzip"}, b"", 415),
        ({"content-type": PROTOBUF}, b"\xff\xff\xff nonsense", 400),
        ({"content-type": PROTOBUF, "content-length": str(MOST_BYTES + 1)}, b"", 413),
        ({"content-type": PROTOBUF, "host": "evil.example"}, b"", 421),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics"])
async def test_body_that_is_not_otlp_is_refused(path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    transport = httpx2.ASGITransport(app=Traces(Kept()).app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:1") as http:
        assert (await http.post(path, content=body, headers=headers)).status_code == status


async def test_page_of_another_site_cannot_clear() -> None:
    kept = Kept()
    kept.add_spans([span("a")])
    transport = httpx2.ASGITransport(app=Traces(kept).app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:1") as http:
        assert (await http.post("/clear", headers={"sec-fetch-site": "cross-site"})).status_code == 403
    assert len(kept.traces()) == 1


def test_tree_puts_parents_first_and_keeps_who_has_none() -> None:
    kept = Kept()
    kept.add_spans([span("c", "b", start=2), span("b", "a", start=1), span("a", "the host's"), span("d", "a", start=3)])
    (trace,) = kept.traces()
    assert [(depth, each.name) for depth, each in trace.tree()] == [(0, "a"), (1, "b"), (2, "c"), (1, "d")]


def test_tree_of_spans_that_are_each_other_s_parents_ends() -> None:
    trace = Trace("t", {"a": span("a", "b"), "b": span("b", "a"), "c": span("c", "c")})
    assert [(depth, each.name) for depth, each in trace.tree()] == [(0, "a"), (0, "b"), (0, "c")]


def test_oldest_traces_and_further_spans_are_dropped() -> None:
    kept = Kept(most_traces=2, most_spans=3)
    for trace in ("1", "2", "3"):
        kept.add_spans([span(f"s{number}", trace_id=trace, start=int(trace)) for number in range(5)])
    assert [(trace.trace_id, len(trace.spans), trace.dropped) for trace in kept.traces()] == [("3", 3, 2), ("2", 3, 2)]


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
    deadline = time.monotonic() + 20
    with httpx2.Client(base_url=viewer, trust_env=False) as http:
        while missing := [each for each in wanted if each not in http.get("/").text]:
            assert time.monotonic() < deadline, missing
            time.sleep(0.2)
        while (joined := http.get(f"/traces/{TRACE}")).status_code != 200:
            assert time.monotonic() < deadline, "the span of the request is not in the trace of the host"
            time.sleep(0.2)
    assert "GET other" in joined.text
    process.terminate()
    assert process.wait(20) == 0
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
