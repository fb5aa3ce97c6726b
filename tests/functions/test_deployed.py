"""The app runs with what is deployed: its own folder and the packages of requirements.txt, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx2

from local.config import REPOSITORY
from tests.functions import deployed
from tests.functions.harness import running_host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.standins import StandIns

PROBING_APP = """
import sys
sys.path.insert(0, {source!r})
from importlib.util import find_spec
import azure.functions as func
from starlette.responses import JSONResponse
from entra_mcp.functions import AppResponse, Request
import own

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("found")
async def found(req: Request) -> AppResponse:
    names = ["local", "local.host", "tests", "function_app", "own"]
    return AppResponse(JSONResponse({{
        "found": [name for name in names if name.split(".")[0] in sys.modules or find_spec(name.split(".")[0])],
        "path": sys.path,
    }}))
"""


def test_started_app_imports_nothing_but_itself_and_what_requirements_name(azurite: str, standins: StandIns) -> None:
    environment = {
        **os.environ,
        **standins.environment(),
        "MCP_BASE_URL": "http://localhost:7071",
        "AzureWebJobsStorage": azurite,
        "MCP_TABLE_NAME": f"T{uuid4().hex}",
        "MCP_CREATE_TABLE": "true",
    }
    environment.pop("PYTHONPATH", None)

    finished = subprocess.run(
        [sys.executable, deployed.__file__, str(REPOSITORY)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert set(found["distributions"]) - deployed.required(REPOSITORY) == set()
    assert {"mcp", "azure-data-tables", "azure-functions"} <= set(found["distributions"])
    assert found["own"] == ["function_app.py", "src"]


def test_worker_does_not_lend_the_repository_to_the_app(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "own.py").write_text("")
    (tmp_path / "function_app.py").write_text(PROBING_APP.format(source=str(REPOSITORY / "src")))

    with running_host(tmp_path, log=tmp_path / "log", environment={"PYTHONPATH": str(REPOSITORY)}) as host:
        report = httpx2.get(f"{host.url}/api/found").json()

    assert report["found"] == ["function_app", "own"]
    assert str(REPOSITORY) not in report["path"]
