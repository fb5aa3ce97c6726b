"""What goes to Application Insights goes scrubbed, and with a token of the managed identity that the settings name."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from entra_mcp.settings import Settings
from entra_mcp.telemetry.exported import Pipeline, pipeline
from entra_mcp.telemetry.metrics import Grant, Instruments, Outcome
from entra_mcp.telemetry.sampling import WholeTraces
from local.loopback.tls import ensure_tls
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.requests import Request

CLIENT_ID = "55555555-5555-4555-8555-555555555555"
CONNECTION = "InstrumentationKey=00000000-0000-4000-8000-000000000000;IngestionEndpoint={url}"

CLOSED = {"Connection": "close"}
"""The exporters keep their connections, over which the server's end would wait for them."""


class Azure:
    """The endpoint of Application Insights that takes telemetry, and that of the managed identity."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.identities: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[Route("/v2.1/track", self._take, methods=["POST"]), Route("/msi/token", self._identity)]
        )

    async def _take(self, request: Request) -> JSONResponse:
        self.tokens.append(request.headers.get("authorization", "none"))
        envelopes: list[dict[str, Any]] = json.loads(await request.body())
        self.taken += envelopes
        answer: dict[str, Any] = {"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}
        return JSONResponse(answer, headers=CLOSED)

    async def _identity(self, request: Request) -> JSONResponse:
        self.identities.append(dict(request.query_params))
        expires = str(int(time.time()) + 3600)
        answer = {"access_token": "identity-token", "expires_on": expires, "resource": "r", "token_type": "Bearer"}
        return JSONResponse(answer, headers=CLOSED)


@pytest_asyncio.fixture(loop_scope="module")
async def azure(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Azure, str]]:
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
    azure = Azure()
    async with serving(azure.app, tls=ensure_tls(certificates).server) as port:
        url = f"https://127.0.0.1:{port}"
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        yield azure, url


def providers(made: Pipeline) -> tuple[TracerProvider, MeterProvider]:
    """Providers of a pipeline that are not those of the process."""
    traces = TracerProvider(sampler=made.sampler)
    for processor in made.processors:
        traces.add_span_processor(processor)
    return traces, MeterProvider(metric_readers=made.readers)


def end(made: Pipeline) -> None:
    for provider in providers(made):
        provider.shutdown()


def send(made: Pipeline) -> None:
    """Sends a span with more in it than may leave, one that failed in a trace that is not kept, and a metric."""
    traces, metrics = providers(made)
    with traces.get_tracer("test").start_as_current_span("start") as span:
        span.set_attributes({"enduser.id": "an object id", "mcp.session.id": "hunter2"})
        span.record_exception(ValueError("hunter2"))
    off = TracerProvider(sampler=WholeTraces(ALWAYS_OFF))
    off.add_span_processor(made.processors[0])
    with off.get_tracer("test").start_as_current_span("kept", kind=SpanKind.CLIENT) as span:
        span.set_status(StatusCode.ERROR)
    Instruments(metrics.get_meter("test")).granted(Grant.SIGN_IN, Outcome.COMPLETED)
    traces.shutdown()
    metrics.shutdown()


@pytest.mark.parametrize(
    ("authentication", "tokens", "client_ids"),
    [
        (f"ClientId={CLIENT_ID};Authorization=AAD", {"Bearer identity-token"}, {CLIENT_ID}),
        ("Authorization=AAD", {"Bearer identity-token"}, {None}),
        (None, {"none"}, set[str]()),
    ],
)
async def test_telemetry_arrives_scrubbed_and_as_the_identity(
    environment: Callable[..., None],
    azure: tuple[Azure, str],
    monkeypatch: pytest.MonkeyPatch,
    authentication: str | None,
    tokens: set[str],
    client_ids: set[str | None],
) -> None:
    service, url = azure
    endpoint = {"IDENTITY_ENDPOINT": f"{url}/msi/token", "IDENTITY_HEADER": "x"}
    environment(
        APPLICATIONINSIGHTS_CONNECTION_STRING=CONNECTION.format(url=url),
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING=authentication,
        **endpoint,
    )
    await asyncio.to_thread(lambda: send(pipeline(Settings.load())))
    told = json.dumps(service.taken)
    assert '"start"' in told
    assert '"kept"' in told
    assert "an object id" in told
    assert "entra_mcp.sign_ins" in told
    assert "hunter2" not in told
    assert set(service.tokens) == tokens
    assert {identity.get("client_id") for identity in service.identities} == client_ids
    assert all(identity["resource"].startswith("https://monitor.azure.com") for identity in service.identities)


async def test_both_places_get_everything(environment: Callable[..., None], azure: tuple[Azure, str]) -> None:
    _, url = azure
    environment(
        APPLICATIONINSIGHTS_CONNECTION_STRING=CONNECTION.format(url=url),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    both = pipeline(Settings.load())
    assert (len(both.processors), len(both.readers)) == (2, 2)
    await asyncio.to_thread(end, both)


@pytest.mark.parametrize(
    ("settings", "sampler"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "AlwaysOnSampler"),
        (
            {"APPLICATIONINSIGHTS_CONNECTION_STRING": CONNECTION.format(url="https://127.0.0.1:9")},
            "WholeTraces{RateLimitedSampler{5.0}}",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_SAMPLER": "always_off"}, None),
    ],
)
async def test_sampler_is_not_the_caller_s_to_choose(
    environment: Callable[..., None],
    azure: tuple[Azure, str],
    settings: dict[str, str],
    sampler: str | None,
) -> None:
    environment(**settings)
    made = pipeline(Settings.load())
    assert (None if made.sampler is None else made.sampler.get_description()) == sampler
    await asyncio.to_thread(end, made)
