"""What survives a crash of the Entra stand-in, and how the processes start and end."""

from __future__ import annotations

import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import local.entra.__main__
import local.vault.__main__
from local.config import REPOSITORY
from tests.support.programs import Program
from tests.support.standins import DIRECTORY, REDIRECT_URI, StandIns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx2

    Run = Callable[..., tuple[int | str | None, str, str]]

MAIN = {"local.entra": local.entra.__main__.main, "local.vault": local.vault.__main__.main}


def _token(standins: StandIns, **form: str) -> httpx2.Response:
    credentials = {"client_id": standins.client_id, "client_secret": standins.client_secret}
    with standins.http() as http:
        return http.post(standins.token_endpoint, data={**credentials, **form})


def _redeem(standins: StandIns, callback: dict[str, str]) -> httpx2.Response:
    return _token(
        standins,
        grant_type="authorization_code",
        code=callback["code"],
        code_verifier=callback["code_verifier"],
        redirect_uri=REDIRECT_URI,
        scope=f"{standins.api_scope} offline_access",
    )


@pytest.mark.long
def test_sign_in_survives_a_crash_between_any_two_steps(own_standins: StandIns) -> None:
    entra = own_standins.entra
    issuer = own_standins.issuer
    callback = own_standins.sign_in()
    entra.restart()
    assert own_standins.issuer == issuer
    tokens = _redeem(own_standins, callback).raise_for_status().json()
    entra.restart()
    refreshed = _token(own_standins, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    entra.restart()
    graph = _token(
        own_standins,
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        requested_token_use="on_behalf_of",
        assertion=refreshed.raise_for_status().json()["access_token"],
        scope="https://graph.microsoft.com/User.Read",
    )
    entra.restart()
    headers = {"Authorization": f"Bearer {graph.raise_for_status().json()['access_token']}"}
    with own_standins.http() as http:
        assert http.get("/graph/v1.0/me", headers=headers).json()["displayName"] == "Local User"


def test_code_stays_redeemed_after_a_crash(own_standins: StandIns) -> None:
    callback = own_standins.sign_in()
    _redeem(own_standins, callback).raise_for_status()
    own_standins.entra.restart()
    assert _redeem(own_standins, callback).json()["error_codes"] == [54005]


def test_faults_and_revocations_survive_a_crash(own_standins: StandIns) -> None:
    tokens = _redeem(own_standins, own_standins.sign_in()).raise_for_status().json()
    own_standins.control("POST", "/accounts/user/revoke")
    own_standins.control("POST", "/faults", {"code": 90033})
    own_standins.entra.restart()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert [_token(own_standins, **form).json()["error_codes"] for _ in range(2)] == [[90033], [50173]]


def test_stored_state_has_no_code_token_or_secret_in_clear(own_standins: StandIns) -> None:
    callback = own_standins.sign_in()
    tokens = _redeem(own_standins, callback).raise_for_status().json()
    path = own_standins.folder / "entra" / "entra.sqlite3"
    with sqlite3.connect(path) as database:
        dump = "\n".join(database.iterdump())
    database.close()
    for value in (callback["code"], tokens["refresh_token"], tokens["access_token"], own_standins.client_secret):
        assert value not in dump
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_both_processes_end_cleanly_on_sigterm(tmp_path: Path, certificates: Path) -> None:
    with StandIns(folder=tmp_path, tls=certificates, program=Program) as standins:
        assert standins.vault.stop() == 0
        assert standins.entra.stop() == 0
    assert (tmp_path / "entra.log").read_text() == ""
    assert (tmp_path / "vault.log").read_text() == ""


def _arguments(module: str, folder: Path, *options: str) -> list[str]:
    secret = folder / "secret"
    secret.write_text("a secret")
    folders = ("--state", str(folder / "state"), "--tls", str(folder / "tls"), "--client-secret-file", str(secret))
    directory = ("--directory", str(DIRECTORY)) if module == "local.entra" else ()
    return [*folders, *directory, *options]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a stand-in that will not start: its exit code, and what it said on both streams."""

    def ended(module: str, *arguments: str) -> tuple[int | str | None, str, str]:
        try:
            code = MAIN[module](arguments)
        except SystemExit as end:
            code = end.code
        said, complained = capsys.readouterr()
        return code, said, complained

    return ended


def test_process_ends_cleanly_on_sigint_with_an_idle_connection(tmp_path: Path) -> None:
    arguments = _arguments("local.entra", tmp_path, "--port", "0", "--sign-in-port", "0")
    command = [sys.executable, "-m", "local.entra", *arguments]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        port = int(process.stdout.readline().rpartition(":")[2].strip(' "}\n'))
        with socket.create_connection(("127.0.0.1", port)):
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize("module", ["local.entra", "local.vault"])
def test_taken_port_is_named_with_holder_and_flag(tmp_path: Path, run: Run, module: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, _, errors = run(module, *_arguments(module, tmp_path, "--port", str(port)))
    assert code == 3
    assert errors.count("\n") == 1
    assert f"Port {port} (" in errors
    assert "(pid " in errors
    assert "--port" in errors


def test_faulty_directory_file_is_bad_usage_without_a_traceback(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "faulty.json"
    file.write_text('{"accounts": {"user": {}}, "else": 1}')
    code, _, errors = run("local.entra", *_arguments("local.entra", tmp_path, "--port", "0", "--directory", str(file)))
    assert code == 2
    assert "accounts.user.name: is missing" in errors
    assert "else: is not a name" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("module", ["local.entra", "local.vault"])
@pytest.mark.parametrize("content", [None, "", " \n"])
def test_missing_secret_file_is_bad_usage(tmp_path: Path, run: Run, module: str, content: str | None) -> None:
    arguments = _arguments(module, tmp_path, "--port", "0")
    (tmp_path / "secret").unlink()
    if content is not None:
        (tmp_path / "secret").write_text(content)
    code, _, errors = run(module, *arguments)
    assert code == 2
    assert "--client-secret-file" in errors


@pytest.mark.parametrize("module", ["local.entra", "local.vault"])
def test_help_describes_every_option(run: Run, module: str) -> None:
    code, output, _ = run(module, "--help")
    assert code == 0
    for flag in ("--port", "--state", "--tls", "--client-secret-file"):
        assert flag in output
