"""A host that watches the app's files says of each change whether the app has started with it, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from tests.engine.functions.harness import running_host
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.engine.functions.harness import RunningHost

APP = f"""
import sys
from contextlib import asynccontextmanager
from pathlib import Path
sys.path[:0] = [{str(REPOSITORY / "src")!r}, str(Path(__file__).parent)]
import azure.functions as func
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import tools
from entra_mcp.functions import Lifespan, Request, Response, WebServer, answer
from entra_mcp.web.startup import startup_failed

@asynccontextmanager
async def running_app():
    from entra_mcp.server.components import find_components
    (tool,) = find_components([tools])
    yield Starlette(routes=[Route("/readyz", PlainTextResponse(tool()))])

server = Lifespan(running_app, on_failure=startup_failed)
WebServer.on_start(server.start)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("{{*path}}")
async def every(req: Request) -> Response:
    return await answer(req, server)
"""
TOOL = """
from fastmcp.tools import tool

@tool
def add() -> str:
    return "ready"
"""
HOST = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
RESTARTED = "functions restarted"
SAID = (RESTARTED, "the app does not start: ", "the app is not ready: ")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "tools").mkdir(parents=True)
    (folder / "host.json").write_text(HOST)
    (folder / "function_app.py").write_text(APP)
    (folder / "tools" / "__init__.py").write_text("")
    (folder / "tools" / "add.py").write_text(TOOL)
    return folder


@pytest.fixture
def host(app: Path, tmp_path: Path) -> Generator[RunningHost]:
    with running_host(app, "--watch", log=tmp_path / "log") as host:
        assert host.get("/readyz").text == "ready"
        yield host


def said(host: RunningHost) -> list[str]:
    return [line for line in host.log.read_text("utf-8").splitlines() if line.startswith(SAID)]


def test_module_that_cannot_be_imported_is_named_until_it_can_be(app: Path, host: RunningHost) -> None:
    module = app / "tools" / "add.py"
    module.write_text("def add(:\n")
    assert eventually(lambda: len(said(host)) == 1)
    assert "tools.add cannot be imported: SyntaxError" in said(host)[0]

    module.write_text("import missing_package\n")
    assert eventually(lambda: len(said(host)) == 2)
    assert "tools.add cannot be imported: ModuleNotFoundError" in said(host)[1]

    module.write_text("import missing_package\n\n")
    assert eventually(lambda: len(said(host)) == 3)
    assert said(host)[2] == said(host)[1]

    module.rename(app / "tools" / "sum.py")
    (app / "tools" / "sum.py").write_text(TOOL)
    assert eventually(lambda: len(said(host)) == 4)
    assert said(host)[3:] == [RESTARTED]


def test_first_start_that_fails_is_told_as_well(app: Path, tmp_path: Path) -> None:
    (app / "tools" / "add.py").write_text("def add(:\n")
    with running_host(app, "--watch", log=tmp_path / "log") as host:
        assert eventually(lambda: len(said(host)) == 1)
        assert "tools.add cannot be imported: SyntaxError" in said(host)[0]

        (app / "tools" / "add.py").write_text(TOOL)
        assert eventually(lambda: said(host)[1:] == [RESTARTED])


def test_fault_that_nobody_foresaw_is_told_with_its_place(app: Path, host: RunningHost) -> None:
    (app / "tools" / "add.py").unlink()
    assert eventually(lambda: len(said(host)) == 1)
    assert said(host) == ["the app is not ready: ValueError: not enough values to unpack (expected 1, got 0)"]
    at_length = host.log.read_text("utf-8").partition("The function app cannot start: ")[2]
    assert f'File "{app / "function_app.py"}", line ' in at_length


@pytest.mark.long
def test_process_that_ends_at_each_start_is_told_once(app: Path, host: RunningHost) -> None:
    (app / "function_app.py").write_text(APP.replace("return await answer(req, server)", "__import__('os')._exit(7)"))
    assert eventually(lambda: host.log.read_text("utf-8").count("The worker process ended") == 3)
    assert said(host) == ["the app is not ready: its process ended, and is started again"]

    (app / "function_app.py").write_text(APP)
    assert eventually(lambda: said(host)[1:] == [RESTARTED])


def test_change_does_not_wait_for_an_import_that_does_not_end(app: Path, host: RunningHost) -> None:
    begun = app / "begun"
    hanging = f"import time\nfrom pathlib import Path\nPath({str(begun)!r}).touch()\ntime.sleep(3600)\n"
    (app / "function_app.py").write_text(hanging)
    assert eventually(begun.exists)

    (app / "function_app.py").write_text(APP)
    assert eventually(lambda: said(host) == [RESTARTED])


@pytest.mark.long
def test_start_that_does_not_end_is_replaced_by_the_next_change(app: Path, host: RunningHost) -> None:
    begun = app / "begun"
    hanging = f"from pathlib import Path\n    Path({str(begun)!r}).touch()\n    await asyncio.sleep(3600)\n    "
    (app / "function_app.py").write_text("import asyncio\n" + APP.replace("(tool,) =", f"{hanging}(tool,) ="))
    assert eventually(begun.exists)
    assert said(host) == []

    (app / "function_app.py").write_text(APP)
    assert eventually(lambda: said(host) == [RESTARTED])


@pytest.mark.long
def test_app_that_is_unavailable_for_a_reason_of_its_own_is_told_with_its_answer(app: Path, host: RunningHost) -> None:
    (app / "function_app.py").write_text(APP.replace("PlainTextResponse(tool())", "PlainTextResponse(tool(), 503)"))
    assert eventually(lambda: len(said(host)) == 1)
    assert said(host) == [f"the app is not ready: http://localhost:{host.port}/readyz answers 503: ready"]


def test_settings_file_of_another_folder_is_watched(app: Path, tmp_path: Path) -> None:
    settings = tmp_path / "other.settings"
    settings.write_text('{"Values": {"ANSWER": "first"}}')
    (app / "function_app.py").write_text(APP.replace("(tool())", "(__import__('os').environ['ANSWER'])"))
    with running_host(app, "--watch", "--settings", str(settings), log=tmp_path / "log") as host:
        assert host.get("/readyz").text == "first"

        settings.write_bytes(b"\xff")
        assert eventually(lambda: len(said(host)) == 1)
        assert "other.settings: is not UTF-8" in said(host)[0]

        settings.unlink()
        assert eventually(lambda: len(said(host)) == 2)
        assert "other.settings: does not exist" in said(host)[1]

        settings.write_text('{"Values": {"ANSWER": "second"}}')
        assert eventually(lambda: said(host)[2:] == [RESTARTED])
        assert host.get("/readyz").text == "second"
