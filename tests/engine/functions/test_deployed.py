"""The app runs with what is deployed: the package that azd builds, the packages of requirements.txt, nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from local.config import REPOSITORY
from tests.engine.functions import deployed, package
from tests.engine.functions.harness import running_host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.standins import StandIns

PROBING_APP = """
import sys
sys.path.insert(0, {source!r})
from importlib.util import find_spec
import azure.functions as func
from starlette.responses import JSONResponse
from entra_mcp.functions import Request, Response
import own

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("found")
async def found(req: Request) -> Response:
    names = ["local", "local.host", "tests", "function_app", "own"]
    return JSONResponse({{
        "found": [name for name in names if name.split(".")[0] in sys.modules or find_spec(name.split(".")[0])],
        "path": sys.path,
    }})
"""


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The deployment package, unpacked where nothing else is."""
    package.build(REPOSITORY, tmp_path / "package.zip")
    folder = tmp_path / "wwwroot"
    with zipfile.ZipFile(tmp_path / "package.zip") as archive:
        archive.extractall(folder)
    return folder


def app_environment(azurite: str, standins: StandIns) -> dict[str, str]:
    return {
        **standins.environment(),
        "MCP_BASE_URL": "http://localhost:7071",
        "AzureWebJobsStorage": azurite,
        "MCP_TABLE_NAME": f"T{uuid4().hex}",
        "MCP_CREATE_TABLE": "true",
    }


def test_package_holds_the_app_and_nothing_else() -> None:
    found = {path.as_posix() for path in package.contents(REPOSITORY)}
    files = [file for file in (REPOSITORY / "src").rglob("*.*") if "__pycache__" not in file.parts]
    sources = {file.relative_to(REPOSITORY).as_posix() for file in files}
    assert found == {*sources, "function_app.py", "host.json", "requirements.txt", ".funcignore"}


def test_package_leaves_out_what_a_working_folder_collects(tmp_path: Path) -> None:
    stray = [
        ".azure/dev/.env",
        ".env.local/x",
        ".git/config",
        ".hypothesis/constants/x",
        ".github/workflows/ci.yml",
        ".local/logs/x.log",
        ".venv/bin/python",
        ".venv-old/x",
        ".vscode/mcp.json",
        "bench/x.py",
        "entra-mcp_env/pyvenv.cfg",
        "infra/main.bicep",
        "local/x.py",
        "local.settings.json",
        "node_modules/x/index.js",
        "ops/hooks/hooks_env/pyvenv.cfg",
        "ops/x.py",
        "src/entra_mcp/__pycache__/x.pyc",
        "test-results/x.xml",
        "tests/x.py",
    ]
    kept = ["function_app.py", "src/entra_mcp/local/x.py", "src/entra_mcp/docs/tests.py"]
    for name in [*stray, *kept]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".funcignore").write_text((REPOSITORY / ".funcignore").read_text("utf-8"))
    assert set(package.build(tmp_path, tmp_path / "x.zip")) - {".funcignore", "x.zip"} == set(kept)


@pytest.mark.parametrize("line", ["!src", "src/entra_mcp", "**/x"])
def test_pattern_that_is_not_understood_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / ".funcignore").write_text(f"{line}\n")
    with pytest.raises(package.UnknownPatternError):
        list(package.contents(tmp_path))


def test_started_app_imports_nothing_but_itself_and_what_requirements_name(
    unpacked: Path, azurite: str, standins: StandIns
) -> None:
    environment = {**os.environ, **app_environment(azurite, standins)}
    environment.pop("PYTHONPATH", None)

    finished = subprocess.run(
        [sys.executable, deployed.__file__, str(unpacked)],
        cwd=unpacked,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert set(found["distributions"]) - deployed.required(unpacked) == set()
    assert {"mcp", "azure-data-tables", "azure-functions"} <= set(found["distributions"])
    assert found["own"] == ["function_app.py", "src"]
    assert found["collects"] == [[False, False], [True, True]], "garbage is looked for once it has started"


def test_package_runs_on_the_local_host(unpacked: Path, tmp_path: Path, azurite: str, standins: StandIns) -> None:
    settings = app_environment(azurite, standins)
    with running_host(unpacked, log=tmp_path / "log", environment=settings) as host:
        ready = host.get("/readyz")
        metadata = host.get("/.well-known/oauth-protected-resource/mcp")
        called = host.post("/mcp", json={}, timeout=30)
    assert (ready.status_code, metadata.status_code, called.status_code) == (200, 200, 401)
    assert metadata.json()["resource"] == "http://localhost:7071/mcp"


def test_worker_does_not_lend_the_repository_to_the_app(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "own.py").write_text("")
    (tmp_path / "function_app.py").write_text(PROBING_APP.format(source=str(REPOSITORY / "src")))

    with running_host(tmp_path, log=tmp_path / "log", environment={"PYTHONPATH": str(REPOSITORY)}) as host:
        report = host.get("/api/found").json()

    assert report["found"] == ["function_app", "own"]
    assert str(REPOSITORY) not in report["path"]
