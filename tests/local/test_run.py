"""`python -m local run` from end to end, in a process and a home of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import fields
from typing import TYPE_CHECKING

import psutil
import pytest

from local.app_settings import SAMPLE
from local.config import REPOSITORY, Ports
from tests.support.ports import free_ports
from tests.support.processes import wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ends its run with POSIX signals")

UP = "Running. Ctrl-C stops everything."


class Place:
    """A home and ports for one test; `start` runs a command there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        names = [field.name for field in fields(Ports)]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.started: list[subprocess.Popen[str]] = []

    @property
    def flags(self) -> list[str]:
        ports = [part for name, port in self.ports.items() for part in (f"--{name.replace('_', '-')}-port", str(port))]
        return ["--home", str(self.home), *ports]

    def start(self, command: str, *options: str) -> subprocess.Popen[str]:
        settings = ["--settings", str(REPOSITORY / SAMPLE)] if command == "run" else []
        process = subprocess.Popen(
            [sys.executable, "-m", "local", command, *self.flags, *settings, *options],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def finish(self, command: str, *options: str) -> tuple[int, str]:
        process = self.start(command, *options)
        output, _ = process.communicate(timeout=110)
        return process.returncode, output

    def up(self, command: str, *options: str) -> tuple[subprocess.Popen[str], str, list[int]]:
        """A run that stays up, what it has said until then, and the pids of everything below it."""
        process = self.start(command, *options)
        said: list[str] = []
        for line in process.stdout or ():
            said.append(line)
            if UP in line:
                return (
                    process,
                    "".join(said),
                    [child.pid for child in psutil.Process(process.pid).children(recursive=True)],
                )
        raise AssertionError(f"it ended with {process.wait(20)}:\n{''.join(said)}")

    def pid_of(self, module: str, pids: list[int]) -> int:
        """The service itself, not its guard."""
        named = [pid for pid in pids if psutil.Process(pid).cmdline()[1:3] == ["-m", module]]
        assert len(named) == 1
        return named[0]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "home")
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def test_check_signs_in_keeps_the_sign_in_and_makes_it_anew_once_forgotten(place: Place) -> None:
    code, first = place.finish("run", "--check")
    assert code == 0, first
    steps = ["discovery", "registration", "authorization", "consent page", "sign-in page", "callback", "token"]
    tools = ["whoami", "add", "count_slowly", "graph_me"]
    positions = [first.index(f"  ok  {step}") for step in [*steps, "signed in", *tools]]
    assert positions == sorted(positions)
    assert "as Local User <user@local.example>" in first
    assert "5 of 5" in first
    assert "\x1b" not in first
    assert "\r" not in first
    secret = (place.home / "entra" / "client-secret").read_text()
    kept = json.loads((place.home / "check-client" / "sign-in.json").read_text())
    assert kept
    assert secret not in first

    code, second = place.finish("run", "--check")
    assert code == 0, second
    assert "again without a browser" in second
    assert "registration" not in second
    assert (place.home / "entra" / "client-secret").read_text() == secret

    for database in (place.home / "azurite").glob("*table*"):
        database.unlink()
    code, third = place.finish("run", "--check")
    assert code == 0, third
    assert "  ok  registration" in third
    assert "as Local User" in third


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
    assert "func start" in said
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


def test_reader_of_the_output_that_goes_away_ends_the_run(place: Place) -> None:
    process = place.start("services")
    assert process.stdout is not None
    for line in process.stdout:
        if "Starting" in line:
            break
    process.stdout.close()
    assert process.wait(60) == 1
    children = [child for child in psutil.process_iter(["cmdline"]) if str(place.home) in (child.info["cmdline"] or [])]
    assert children == []


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
        assert re.search(rf"Port {place.ports[name]} .* is taken by .*\(pid {os.getpid()}\).*{flag}", output), output
    assert not (place.home / "logs").exists()


def test_failed_check_names_the_step_and_shows_the_log(place: Place, tmp_path: Path) -> None:
    content = json.loads((REPOSITORY / SAMPLE).read_text())
    content["Values"]["ENTRA_CLIENT_ID"] = "33333333-3333-4333-8333-333333333333"
    settings = tmp_path / "wrong.settings.json"
    settings.write_text(json.dumps(content))
    code, output = place.finish("run", "--check", "--settings", str(settings))
    assert code == 1
    assert "FAILED  sign-in page" in output
    assert "AADSTS700016" in output
    assert "The end of " in output
    assert "functions.log" in output


def test_settings_that_name_another_entra_are_not_checked(place: Place, tmp_path: Path) -> None:
    content = json.loads((REPOSITORY / SAMPLE).read_text())
    content["Values"]["ENTRA_AUTHORIZATION_ENDPOINT"] = "https://login.example/authorize"
    settings = tmp_path / "own.settings.json"
    settings.write_text(json.dumps(content))
    code, output = place.finish("run", "--check", "--settings", str(settings))
    assert code == 1
    assert "only a person" in output
    assert "own.settings.json" in output


@pytest.mark.parametrize("content", ["{", "[]", '{"Values": 3}'])
def test_settings_file_of_another_form_is_named(place: Place, tmp_path: Path, content: str) -> None:
    settings = tmp_path / "broken.settings.json"
    settings.write_text(content)
    code, output = place.finish("run", "--settings", str(settings))
    assert code == 2
    assert "broken.settings.json" in output


def test_core_tools_that_are_missing_are_explained(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    process = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SETUP, *place.flags, "--host", "func"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 2
    assert "Core Tools (`func`) is not on PATH" in process.stdout


_WITHOUT_SETUP = """
import sys
from local import cli
cli.Environment.ensure = lambda self, *, node: None
sys.exit(cli.main(["run", *sys.argv[1:]]))
"""
