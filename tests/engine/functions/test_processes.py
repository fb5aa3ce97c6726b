"""The host as a program: its start and end, its files, and what it does when the app changes or is broken."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx2
import psutil
import pytest

from local.config import REPOSITORY
from tests.engine.functions.harness import MCP_APP, running_host
from tests.support.processes import eventually
from tests.support.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.functions.harness import RunningHost

APP = """
import sys
sys.path.insert(0, {source!r})
import os
import azure.functions as func
from starlette.responses import PlainTextResponse
from entra_mcp.functions import Request, Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello/{{name}}", methods=["GET"])
async def hello(req: Request) -> Response:
    return PlainTextResponse({greeting!r} + os.getcwd() + os.environ.get("FROM_FILE", ""))
"""


def write_app(folder: Path, *, greeting: str = "hi ", source: str | None = None) -> Path:
    (folder / "host.json").write_text('{"version": "2.0"}')
    text = APP.format(source=str(REPOSITORY / "src"), greeting=greeting) if source is None else source
    (folder / "function_app.py").write_text(text)
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.host", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_settings_and_working_directory_are_those_of_the_app(tmp_path: Path) -> None:
    app = write_app(tmp_path)
    values = {"FROM_FILE": " file", "FUNCTIONS_WORKER_RUNTIME": "python"}
    (app / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))

    with running_host(app, log=tmp_path / "log") as host:
        assert host.get("/api/hello/x").text == f"hi {tmp_path} file"
        assert host.post("/api/hello/x").status_code == 404
        assert host.get("/hello/x").status_code == 404


def test_indexing_failure_is_shown_and_healed_by_the_next_change(tmp_path: Path) -> None:
    app = write_app(tmp_path, source="def broken():\n    raise ValueError('bad app')\n\nbroken()\n")

    with running_host(app, "--watch", log=tmp_path / "host-log") as host:
        assert host.state == "Error"
        status = host.get("/admin/host/status")
        assert status.status_code == 500
        assert status.json()["state"] == "Error"
        assert "bad app" in status.json()["errors"][0]
        assert host.get("/api/hello/x").status_code == 503
        log = host.log.read_text()
        assert f'File "{app / "function_app.py"}", line 2, in broken' in log
        assert "azure_functions_runtime" not in log

        write_app(app)
        assert eventually(lambda: host.get("/api/hello/x").status_code == 200)
        assert host.get("/admin/host/status").json()["state"] == "Running"


def test_folder_without_functions_is_an_error(tmp_path: Path) -> None:
    app = write_app(tmp_path)
    (app / "function_app.py").unlink()

    with running_host(app, "--watch", log=tmp_path / "host-log") as host:
        assert host.state == "Error"
        assert "function_app.py" in host.get("/admin/host/status").json()["errors"][0]


@pytest.mark.parametrize(
    ("source", "last"),
    [
        ("def broken():\n    raise ValueError('bad app')\n\nbroken()\n", "ValueError: bad app"),
        pytest.param("import missing_package\n", "No module named 'missing_package'", marks=pytest.mark.long),
        pytest.param("def broken(:\n", "SyntaxError: invalid syntax", marks=pytest.mark.long),
        ("import os\nos._exit(7)\n", "The worker process ended with code 7."),
        ("", "Could not find top level function app instances in function_app.py."),
        (APP.replace("{{name}}", "{{name:int}}").format(source=str(REPOSITORY / "src"), greeting=""), "name:int"),
        (APP.replace("ANONYMOUS", "FUNCTION").format(source=str(REPOSITORY / "src"), greeting=""), "has no keys"),
    ],
)
def test_app_that_cannot_be_indexed_ends_an_unwatched_host_with_1(tmp_path: Path, source: str, last: str) -> None:
    finished = run("--app", str(write_app(tmp_path, source=source)), "--port", "0")

    assert finished.returncode == 1
    assert last in finished.stderr.splitlines()[-1]
    assert "azure_functions_runtime" not in finished.stderr
    assert str(REPOSITORY / "local") not in finished.stderr


def test_watch_sees_a_change_of_the_same_length_within_the_same_second(tmp_path: Path) -> None:
    app = write_app(tmp_path, greeting="old ")
    os.utime(app / "function_app.py", (1, 1))

    with running_host(app, "--watch", log=tmp_path / "host-log", environment={"PYTHONDONTWRITEBYTECODE": ""}) as host:
        assert host.get("/api/hello/x").text.startswith("old ")
        write_app(app, greeting="new ")
        os.utime(app / "function_app.py", (1, 1))
        assert eventually(lambda: host.get("/api/hello/x").text.startswith("new "))


def test_watch_restarts_the_app_while_requests_wait(tmp_path: Path) -> None:
    app = write_app(tmp_path, greeting="old ")
    (app / ".venv").mkdir()

    with running_host(app, "--watch", log=tmp_path / "host-log") as host:
        assert host.get("/api/hello/x").text.startswith("old ")
        seen: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            with httpx2.Client(timeout=30) as client:
                while not stop.wait(0.02):
                    seen.append(client.get(f"{host.url}/api/hello/x").status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        (app / ".venv" / "ignored.py").write_text("")
        write_app(app, greeting="new ")
        renewed = eventually(lambda: host.get("/api/hello/x").text.startswith("new "), seconds=20)
        stop.set()
        asking.join()

        assert renewed
        assert set(seen) == {200}


def test_two_hosts_run_side_by_side(tmp_path: Path) -> None:
    with ExitStack() as stack:
        hosts: list[RunningHost] = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            app = write_app(folder, greeting=f"{name} ")
            hosts.append(stack.enter_context(running_host(app, log=folder / "log")))

        for name, host in zip(("one", "two"), hosts, strict=True):
            assert host.get("/api/hello/x").text.startswith(f"{name} ")


def test_taken_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = run("--app", str(write_app(tmp_path)), "--port", str(port))

    assert finished.returncode == 3
    assert str(port) in finished.stderr
    assert "--port" in finished.stderr
    assert "pid" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--settings", "missing.json"], f"missing.json: does not exist in {REPOSITORY}."),
        (["--port", "many"], "--port"),
    ],
)
def test_faulty_arguments_end_with_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    finished = run("--app", str(write_app(tmp_path)), "--port", "0", *arguments)

    assert finished.returncode == 2
    assert words in finished.stderr


def test_folder_without_an_app_ends_with_2(tmp_path: Path) -> None:
    finished = run("--app", str(tmp_path), "--port", "0")

    assert finished.returncode == 2
    assert "host.json" in finished.stderr


def test_termination_does_not_wait_for_an_answer_without_end(tmp_path: Path) -> None:
    with (
        running_host(MCP_APP, log=tmp_path / "log", program=Program) as host,
        socket.create_connection(("127.0.0.1", host.port)) as sock,
    ):
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(10)

        assert host.stop() == 0


def test_worker_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    """It says nothing of the app, unlike a worker that fails to import it."""
    mark = tmp_path / "started before"
    killed_once = (
        "import os, pathlib, signal\n"
        f"mark = pathlib.Path({str(mark)!r})\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    source = killed_once + APP.format(source=str(REPOSITORY / "src"), greeting="hi ")
    with running_host(write_app(tmp_path, source=source), log=tmp_path / "log") as host:
        assert host.state == "Running"
    assert "starting it again" in (tmp_path / "log").read_text()


def test_worker_ends_when_its_host_is_killed(tmp_path: Path) -> None:
    with running_host(MCP_APP, log=tmp_path / "log") as host:
        worker = psutil.Process(host.diagnostics()["pid"])
        host.kill()

        assert eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_log_says_of_each_change_what_became_of_it(tmp_path: Path) -> None:
    app = write_app(tmp_path)
    with running_host(app, "--watch", log=tmp_path / "host-log") as host:
        write_app(app, source="raise ValueError('bad app')\n")
        assert eventually(lambda: host.log.read_text().endswith("the app does not start: ValueError: bad app\n"))
        write_app(app)
        assert eventually(lambda: host.log.read_text().endswith("functions restarted\n"))
