"""Traces leave over OTLP also where the Functions worker has loaded its own protobuf first.

The worker for Python 3.13 is built with protobuf 5.29 and imports it before the application
(https://github.com/Azure/azure-functions-python-worker, `workers/pyproject.toml`); a process has only one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local.config import REPOSITORY
from local.setup.uv import find_uv, uv_environment

if TYPE_CHECKING:
    from pathlib import Path

WORKER_PROTOBUF = "protobuf~=5.29.0"

PROGRAM = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import google.protobuf
from opentelemetry import trace
from entra_mcp.settings import Settings
from entra_mcp.telemetry import start_telemetry

telemetry = start_telemetry(Settings.model_construct(
    application_insights=None, otlp_endpoint=sys.argv[2], server_name="s", telemetry_sample_ratio=1.0))
with trace.get_tracer("test").start_as_current_span("beside the worker"):
    pass
asyncio.run(telemetry.flush())
print(google.protobuf.__version__)
"""


class Collector(HTTPServer):
    """Takes what is sent to it as OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        super().__init__(("127.0.0.1", 0), Take)


class Take(BaseHTTPRequestHandler):
    server: Collector  # pyright: ignore[reportIncompatibleVariableOverride] - the only one that it serves

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/v1/traces"):
            request = ExportTraceServiceRequest.FromString(body)
            spans = (span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans)
            self.server.spans += [span.name for span in spans]
        self.send_response(200)
        self.end_headers()


@pytest.mark.long
def test_traces_leave_beside_the_protobuf_of_the_worker(tmp_path: Path) -> None:
    uv = find_uv(REPOSITORY / ".venv" / ("Scripts" if os.name == "nt" else "bin"))
    assert uv is not None
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(tmp_path), WORKER_PROTOBUF]
    subprocess.run(install, env=os.environ | uv_environment(), check=True)
    collector = Collector()
    serving = threading.Thread(target=collector.serve_forever)
    serving.start()
    try:
        place = f"http://127.0.0.1:{collector.server_port}"
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path), place],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": "src", "OTEL_EXPORTER_OTLP_ENDPOINT": place},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        collector.shutdown()
        serving.join()
        collector.server_close()
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("5.29.")
    assert "beside the worker" in collector.spans
