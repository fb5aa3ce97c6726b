"""`python -m local run` from end to end: the check and the settings it runs with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.app_settings import OWN, SAMPLE
from local.check.storage import is_empty
from local.config import REPOSITORY
from tests.local.place import settings_file
from tests.support.standins import DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.place import Place

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ends its run with POSIX signals")


@pytest.mark.long
def test_check_signs_in_keeps_the_sign_in_and_makes_it_anew_once_forgotten(place: Place) -> None:
    code, first = place.finish("run", "--check")
    assert code == 0, first
    steps = ["discovery", "registration", "authorization", "consent page", "sign-in page", "callback", "token"]
    tools = ["export_report", "graph_me", "list_orders", "my_calendar", "whoami", "not called"]
    positions = [first.index(f"  ok  {step}") for step in [*steps, "signed in", *tools]]
    assert positions == sorted(positions)
    assert '"name": "Local User", "username": "user@local.example"' in first
    assert "list_orders asks for consent" in first
    assert "add needs a, b" in first
    assert "forget may change something" in first
    assert "12 of 12 months" in first
    assert "\x1b" not in first
    assert "\r" not in first
    secret = (place.home / "entra" / "client-secret").read_text()
    assert not is_empty(place.home / "check-client" / "sign-in")
    assert secret not in first

    code, second = place.finish("run", "--check")
    assert code == 0, second
    assert "again without a browser" in second
    assert "registration" not in second
    assert (place.home / "entra" / "client-secret").read_text() == secret

    for database in (place.home / "azurite").glob("*table*"):
        database.unlink()
    strays = {
        "IDENTITY_SERVER_THUMBPRINT": "x",
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    place.environment = {**strays, "AZURE_CLIENT_ID": "for another place", "AUTH_MODE": "verify"}
    code, third = place.finish("run", "--check")
    assert code == 0, third
    assert "  ok  registration" in third
    for name in place.environment:
        assert name in third.split("Not taken from your shell: ")[1].splitlines()[0]
    assert '"name": "Local User"' in third


@pytest.mark.long
def test_scopes_and_roles_of_a_fork_work_without_editing_the_stand_in(place: Place, tmp_path: Path) -> None:
    settings = settings_file(
        tmp_path / "fork.settings.json",
        ENTRA_IDENTIFIER_URI="api://contoso.example/mcp",
        ENTRA_REQUIRED_SCOPES="orders.use",
        ENTRA_ADDITIONAL_SCOPES="openid profile offline_access Mail.Send Sites.Read.All "
        "Bookings.Manage.All api://orders/Orders.Read",
    )
    directory = json.loads(DIRECTORY.read_text())
    directory["accounts"] = {"clerk": {"name": "Order Clerk", "roles": ["Orders.Approver"]}}
    own = tmp_path / "fork.directory.json"
    own.write_text(json.dumps(directory))
    code, output = place.finish("run", "--check", "--settings", str(settings), "--directory", str(own))
    assert code == 0, output
    assert 'clicked "Order Clerk' in output
    assert '"name": "Order Clerk", "username": "clerk@local.example"' in output
    assert "  ok  list_orders" in output
    assert "list_orders asks for consent" not in output


@pytest.mark.long
@pytest.mark.parametrize(("tenant", "person"), [("organizations", "Local User"), ("consumers", "Personal User")])
def test_check_signs_in_as_somebody_whom_the_tenant_admits(
    place: Place, tmp_path: Path, tenant: str, person: str
) -> None:
    settings = settings_file(tmp_path / "tenant.settings.json", ENTRA_TENANT_ID=tenant)
    code, output = place.finish("run", "--check", "--settings", str(settings))
    assert code == 0, output
    assert f'clicked "{person} ' in output


def test_failed_check_names_the_step_and_shows_the_log(place: Place, tmp_path: Path) -> None:
    unknown = "33333333-3333-4333-8333-333333333333"
    settings = settings_file(tmp_path / "wrong.settings.json", ENTRA_CLIENT_ID=unknown)
    code, output = place.finish("run", "--check", "--settings", str(settings))
    assert code == 1
    assert "FAILED  sign-in page" in output
    assert "AADSTS700016" in output
    assert "The end of " in output
    assert "functions.log" in output


@pytest.mark.long
def test_settings_that_name_another_entra_are_not_checked(place: Place, tmp_path: Path) -> None:
    elsewhere = "https://login.example/authorize"
    settings = settings_file(tmp_path / "own.settings.json", ENTRA_AUTHORIZATION_ENDPOINT=elsewhere)
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
    ended = run_in(REPOSITORY, *place.flags, "--host", "func")
    assert ended.returncode == 2
    assert "func is not on PATH. Install Azure Functions Core Tools" in ended.stdout


@pytest.mark.long
def test_server_without_a_sign_in_is_checked_with_a_token(place: Place, tmp_path: Path) -> None:
    settings = settings_file(tmp_path / "verify.settings.json", AUTH_MODE="verify")
    code, output = place.finish("run", "--check", "--settings", str(settings))
    assert code == 0, output
    assert "AUTH_MODE is verify: there is nothing to sign in to" in output
    assert "  ok  token" in output
    assert "  ok  whoami" in output
    assert "registration" not in output


@pytest.mark.long
def test_core_tools_run_the_app_with_the_settings_they_read(
    place: Place, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    func = tools / "func"
    func.write_text('#!/bin/sh\necho "called with $@"\nexec python -m local.host --app . --port "$3"\n')
    func.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    ended = run_in(checkout, *place.flags, "--host", "func", "--check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"it is now a copy of {SAMPLE}" in ended.stdout
    assert (checkout / OWN).read_bytes() == (REPOSITORY / SAMPLE).read_bytes()
    log = (place.home / "logs" / "functions.log").read_text()
    assert f"called with start --port {place.ports['functions']}" in log


def test_app_that_cannot_be_imported_is_named_without_a_traceback(place: Place, checkout: Path) -> None:
    with (checkout / "src" / "app" / "server.py").open("a") as file:
        file.write("\nimport nonesuch\n")
    ended = run_in(checkout, *place.flags)
    assert ended.returncode == 2
    assert "src/app/server.py cannot be imported: ModuleNotFoundError: No module named 'nonesuch'" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "Starting" not in ended.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a run needs of the repository, to be changed."""
    made = tmp_path / "checkout"
    made.mkdir()
    for name in ("function_app.py", "host.json", SAMPLE):
        shutil.copyfile(REPOSITORY / name, made / name)
    for name in ("bench", "local", "src"):
        shutil.copytree(REPOSITORY / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    (made / ".venv").symlink_to(sys.prefix)
    (made / "node_modules").symlink_to(REPOSITORY / "node_modules")
    return made


def run_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of the checkout there, which installs nothing."""
    command = [sys.executable, "-c", _WITHOUT_SETUP, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)


_WITHOUT_SETUP = """
import sys
from local import cli
cli.Environment.ensure = lambda self, *, node, dev: None
sys.exit(cli.main(["run", *sys.argv[1:]]))
"""


def test_faulty_and_unknown_settings_are_all_named_with_their_file(place: Place, tmp_path: Path) -> None:
    faulty = {"ENTRA_CLIENT_ID": "nope", "MCP_REGISTRATION_DAYS": "0", "MCP_SERVERNAME": "Order desk"}
    file = settings_file(tmp_path / "faulty.settings.json", **faulty)

    code, output = place.finish("run", "--settings", str(file))

    assert code == 2
    assert "faulty.settings.json: MCP_SERVERNAME is no setting: did you mean MCP_SERVER_NAME?" in output
    assert "ENTRA_CLIENT_ID: is not the GUID of an app registration" in output
    assert "MCP_REGISTRATION_DAYS: " in output
    assert "Traceback" not in output
    assert "Starting" not in output
