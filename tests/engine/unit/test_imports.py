"""What a process loads before its first request: a number that a change may lower, and raises only with a reason."""

from __future__ import annotations

import os
import subprocess
import sys

from local.config import REPOSITORY

MAX_MODULES = 2_020
"""FastMCP with its provider is 1,430 of them; Azure's libraries for identity, vault and tables are most of the rest.

What of them nobody needs before the first request is not the engine's to leave out: FastMCP imports rich, authlib and
a client, py-key-value caio and beartype, MSAL requests.
"""

NOT_YET = (
    *("azure.monitor", "opentelemetry.sdk", "opentelemetry.exporter"),
    *("fastmcp.cli", "fastmcp.client", "griffe", "jinja2", "yaml"),
)
"""What only some deployments use is imported by those, and what only a start or a tool uses by these."""


def test_engine_loads_no_more_modules_than_it_did() -> None:
    run = [sys.executable, "-c", "import entra_mcp.app, sys; print(*sys.modules)"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    loaded = subprocess.run(run, check=True, capture_output=True, text=True, env=environment).stdout.split()
    assert not [name for name in loaded if name.startswith(NOT_YET)]
    assert len(loaded) <= MAX_MODULES
