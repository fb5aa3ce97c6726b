"""functionTimeout ends what takes too long, over HTTP too, and no function without an address runs twice at once."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from local.config import REPOSITORY
from tests.engine.functions.harness import running_host
from tests.support.processes import eventually

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import sys
sys.path.insert(0, {source!r})
import asyncio
import os
import azure.functions as func
from starlette.responses import PlainTextResponse
from entra_mcp.functions import Request, Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def note(line):
    with open("diary", "a") as diary:
        diary.write(f"{{line}} {{os.getpid()}}\\n")

@app.route("pid")
async def pid(req: Request) -> Response:
    return PlainTextResponse(str(os.getpid()))

@app.route("slow")
async def slow(req: Request) -> Response:
    await asyncio.sleep(60)
    return PlainTextResponse("late")

@app.route("read")
async def read(req: Request) -> Response:
    return PlainTextResponse(await req.body())

@app.timer_trigger("timer", {schedule!r})
async def work(timer: func.TimerRequest) -> None:
    note("began")
    await asyncio.sleep({seconds})
    note("ended")
"""


def write_app(folder: Path, *, schedule: str, seconds: float, limit: str = "00:00:02") -> Path:
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "functionTimeout": limit}))
    text = APP.format(source=str(REPOSITORY / "src"), schedule=schedule, seconds=seconds)
    (folder / "function_app.py").write_text(text)
    (folder / "diary").write_text("")
    return folder


@pytest.mark.long
def test_http_function_that_takes_too_long_fails_and_its_worker_is_replaced(tmp_path: Path) -> None:
    app = write_app(tmp_path, schedule="0 0 0 1 1 *", seconds=0)

    with running_host(app, log=tmp_path / "log") as host:
        first = host.get("/api/pid").text
        late = host.get("/api/slow")

        assert late.status_code == 500
        assert eventually(lambda: host.get("/api/pid").text != first)
        assert not psutil.pid_exists(int(first))
        assert "slow takes longer than functionTimeout (0:00:02)" in host.log.read_text()


@pytest.mark.long
def test_limit_counts_from_the_first_byte_of_a_body_that_does_not_end(tmp_path: Path) -> None:
    app = write_app(tmp_path, schedule="0 0 0 1 1 *", seconds=0)

    with running_host(app, log=tmp_path / "log") as host, socket.create_connection(("127.0.0.1", host.port), 60) as one:
        one.sendall(b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n1")

        assert one.recv(12) == b"HTTP/1.1 500"
        assert "read takes longer than functionTimeout (0:00:02)" in host.log.read_text()


@pytest.mark.long
def test_timer_function_that_takes_too_long_never_overlaps_with_its_next_run(tmp_path: Path) -> None:
    app = write_app(tmp_path, schedule="* * * * * *", seconds=60)

    with running_host(app, log=tmp_path / "log") as host:
        assert eventually(lambda: (tmp_path / "diary").read_text().count("began") >= 2)
        assert "work failed: It took longer than functionTimeout" in host.log.read_text()
        workers = [line.split()[1] for line in (tmp_path / "diary").read_text().splitlines()]
        assert len(workers) == len(set(workers))  # a process of its own for each run
        assert not psutil.pid_exists(int(workers[0]))


@pytest.mark.long
def test_timer_function_fired_by_hand_waits_for_its_run_under_way(tmp_path: Path) -> None:
    app = write_app(tmp_path, schedule="0 0 0 1 1 *", seconds=0.5, limit="00:05:00")

    with running_host(app, log=tmp_path / "log") as host:
        for _ in range(3):
            assert host.post("/admin/functions/work", json={}).status_code == 202
        assert eventually(lambda: (tmp_path / "diary").read_text().count("ended") == 3)

    lines = [line.split()[0] for line in (tmp_path / "diary").read_text().splitlines()]
    assert lines == ["began", "ended"] * 3
