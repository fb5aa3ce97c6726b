"""`python -m local run` and `services`: how they stay up, and how they end, with everything they started."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from local.app_settings import SAMPLE
from tests.support.processes import wait_until_gone

if TYPE_CHECKING:
    from tests.local.place import Place

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ends its run with POSIX signals")


def test_run_stays_up_refuses_a_second_one_and_ends_everything_on_ctrl_c(place: Place) -> None:
    process, said, pids = place.up("run")
    url = f"http://localhost:{place.ports['functions']}/mcp"
    for client in ("VS Code", "Claude Code", "Claude Desktop", "Cursor", "MCP Inspector"):
        assert client in said
    assert url in said
    assert len(pids) >= 8

    code, refused = place.finish("run")
    assert code == 3
    assert f"already running: process {process.pid}, {url}" in refused

    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Stopping (SIGINT)" in rest
    assert wait_until_gone(*pids)
    assert "successfully closed" in (place.home / "logs" / "azurite.log").read_text()


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "module", "name"), [("run", "local.host", "functions"), ("services", "local.vault", "vault")]
)
def test_service_that_dies_ends_the_run_and_is_named(place: Place, command: str, module: str, name: str) -> None:
    process, _, pids = place.up(command)
    os.kill(place.pid_of(module, pids), signal.SIGKILL)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"FAILED  {name}: {name} ended by itself with exit code 137" in rest
    assert str(place.home / "logs" / f"{name}.log") in rest
    assert wait_until_gone(*pids)


def test_services_tell_how_to_go_on_and_end_on_sigterm(place: Place) -> None:
    process, said, pids = place.up("services")
    assert f"func start --port {place.ports['functions']}\n" in said
    assert f"cp {SAMPLE} local.settings.json" in said
    assert f"MCP_BASE_URL=http://localhost:{place.ports['functions']}" in said
    assert "Functions host" not in said
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert wait_until_gone(*pids)


def test_nothing_is_left_of_a_run_that_is_killed(place: Place) -> None:
    process, _, pids = place.up("services")
    process.kill()
    process.communicate(timeout=30)
    assert wait_until_gone(*pids)
    again, _, _ = place.up("services")
    again.terminate()
    again.communicate(timeout=30)
    assert again.returncode == 0


@pytest.mark.long
def test_reader_of_the_output_that_goes_away_ends_the_run(place: Place) -> None:
    process = place.start("services")
    assert process.stdout is not None
    for line in process.stdout:
        if "Starting" in line:
            break
    process.stdout.close()
    assert process.wait(60) == 1
    home = str(place.home)
    lines: list[list[str]] = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    left = [line for line in lines if any(part.startswith(home) for part in line)]
    assert left == []


def test_stop_before_the_work_is_done_is_no_success(place: Place) -> None:
    process = place.start("run", "--check")
    for line in process.stdout or ():
        if "Starting" in line:
            break
    time.sleep(0.2)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM


def test_every_taken_port_is_told_at_once_with_a_way_out(place: Place) -> None:
    with (
        socket.create_server(("127.0.0.1", place.ports["vault"])),
        socket.create_server(("127.0.0.1", place.ports["functions"])),
    ):
        code, output = place.finish("run", "--check")
    assert code == 3
    for name, flag in (("vault", "--vault-port"), ("functions", "--functions-port")):
        assert re.search(rf"Port {place.ports[name]} .* is taken by .*\(pid {os.getpid()}, in .*{flag}", output), output
    assert not (place.home / "logs").exists()
