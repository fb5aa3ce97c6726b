"""The command line as a person and as azd's hooks meet it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from ops.__main__ import main
from ops.command import Command
from ops.commands import load
from tests.support.azure.azd import SIGNED_IN, program
from tests.support.azure.world import SUBSCRIPTION, TENANT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ops.conftest import Ops


def test_every_module_of_commands_is_a_command_of_its_own_name() -> None:
    commands = load()
    assert all(isinstance(command, Command) for command in commands)
    modules = {file.stem for file in (REPOSITORY / "ops" / "commands").glob("*.py")} - {"__init__"}
    assert {command.name.replace("-", "_") for command in commands} == modules


@pytest.mark.parametrize("name", ["", *(command.name for command in load())])
def test_help_is_there_for_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*([name] if name else []), "--help"]) == 0
    said = capsys.readouterr().out
    assert "exit codes: 0 all is well, 1 something was found or failed, 2 wrong usage" in said
    assert not name or "--environment NAME" in said


def test_hooks_of_azd_call_main_and_get_the_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("AZURE_", "ENTRA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("ops.cli.ROOT", tmp_path)
    assert main(["postprovision"]) == 2
    assert main(["doctor", "--explain", "AADSTS65001"]) == 0


def test_python_that_is_too_old_is_told_so_before_anything_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ops.__main__.MINIMUM", (99, 0))
    assert main(["preflight"]) == 2
    said = capsys.readouterr().err
    assert "needs Python 3.13 or newer" in said
    assert sys.executable in said


def test_file_that_says_so_can_be_read_by_an_old_python() -> None:
    for file in [REPOSITORY / "ops" / "__main__.py", *(REPOSITORY / "ops" / "hooks").glob("*.py")]:
        ast.parse(file.read_text("utf-8"), feature_version=(3, 7))
    assert (REPOSITORY / "ops" / "__init__.py").read_text("utf-8").count("\n") == 1


@pytest.mark.parametrize("program", [("-m", "ops", "smoke"), ("ops/hooks/preprovision.py",)])
def test_python_without_the_packages_is_told_how_to_get_them(program: tuple[str, ...]) -> None:
    bare = [sys.executable, "-S", *program]
    outcome = subprocess.run(bare, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 2
    assert "lacks the package" in outcome.stderr
    assert "python -m local setup" in outcome.stderr
    assert "Traceback" not in outcome.stderr


EVERYTHING = """
import importlib, pkgutil, sys
from pathlib import Path
sys.path[:0] = [".", "src", "tests/engine/functions"]
from deployed import Undeployed, required
sys.meta_path.insert(0, Undeployed(required(Path("."))))
import ops
for module in pkgutil.walk_packages(ops.__path__, "ops."):
    if module.name != "ops.__main__":
        importlib.import_module(module.name)
print(len([name for name in sys.modules if name.startswith("ops.")]))
"""
"""Imports all of the tool where only the packages of requirements.txt can be found."""


def test_tool_needs_no_package_that_azd_does_not_install_for_its_hooks() -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", EVERYTHING], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    assert int(outcome.stdout) > 40


def azd_environment(root: Path, name: str, **values: str) -> None:
    folder = root / ".azure" / name
    folder.mkdir(parents=True)
    (folder / ".env").write_text("".join(f'{key}="{value}"\n' for key, value in values.items()))
    (root / ".azure" / "config.json").write_text(json.dumps({"version": 1, "defaultEnvironment": "dev"}))


def test_inputs_come_from_azds_default_environment(ops: Ops) -> None:
    names = ("AZURE_TENANT_ID", "AZURE_KEY_VAULT_ID", "ENTRA_CLIENT_ID", "ENTRA_APP_OBJECT_ID", "ENTRA_TENANT_ID")
    known = ops.cloud.environment()
    azd_environment(ops.root, "dev", **{name: known[name] for name in names})
    outcome = ops("postprovision", **dict.fromkeys(names))
    assert outcome.code == 0, outcome.text


def azd_environment_prod(ops: Ops) -> None:
    values = {"AZURE_ENV_NAME": "prod", "AZURE_KEY_VAULT_ID": "/subscriptions/other/vaults/kv-prod"}
    azd_environment(ops.root, "prod", **{**ops.cloud.environment(), **values})


def test_named_environment_wins_over_the_shell(ops: Ops) -> None:
    azd_environment(ops.root, "dev")
    azd_environment_prod(ops)
    outcome = ops("postprovision", "--environment", "prod")
    assert outcome.code == 1
    assert "kv-prod" in outcome.text


def test_option_wins_over_a_named_environment(ops: Ops) -> None:
    azd_environment_prod(ops)
    vault = ops.cloud.environment()["AZURE_KEY_VAULT_ID"]
    assert ops("postprovision", "--environment", "prod", "--azure-key-vault-id", vault).code == 0


@pytest.mark.parametrize("named", [True, False])
def test_option_wins_over_the_shell_and_azd(ops: Ops, named: bool) -> None:
    for group in ("rg-shell", "rg-azd", "rg-option"):
        ops.world.resources[f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}".lower()] = {}
    azd_environment(ops.root, "dev", AZURE_RESOURCE_GROUP="rg-azd")
    chosen = ("--environment", "dev") if named else ()
    command = ("postdown", "--purge", *chosen)
    outcome = ops(*command, "--azure-resource-group", "rg-option", AZURE_RESOURCE_GROUP="rg-shell")
    assert "The resource group rg-option is still there" in outcome.text
    outcome = ops(*command, AZURE_RESOURCE_GROUP="rg-shell")
    assert f"The resource group {'rg-azd' if named else 'rg-shell'} is still there" in outcome.text


def test_option_wins_over_the_name_of_a_named_environment(ops: Ops) -> None:
    ops.world.resources[f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-other".lower()] = {}
    azd_environment(ops.root, "dev", AZURE_ENV_NAME="dev")
    command = ("postdown", "--purge", "--environment", "dev", "--azure-env-name", "other")
    outcome = ops(*command, AZURE_RESOURCE_GROUP=None, AZURE_KEY_VAULT_ID=None)
    assert "The resource group rg-other is still there" in outcome.text


@pytest.mark.parametrize(("name", "code"), [("dev", 2), (None, 2), ("prod", 0)])
def test_variables_of_the_shell_count_beside_a_named_environment_of_their_own_name_alone(
    ops: Ops, name: str | None, code: int
) -> None:
    azd_environment(ops.root, "prod")
    outcome = ops("postprovision", "--environment", "prod", AZURE_ENV_NAME=name)
    assert outcome.code == code, outcome.text
    assert bool(ops.world.secrets) is (code == 0)


def test_shell_of_an_environment_that_azd_does_not_have_is_not_mixed_with_its_default_one(ops: Ops) -> None:
    azd_environment(ops.root, "dev", AZURE_KEY_VAULT_ID=ops.cloud.environment()["AZURE_KEY_VAULT_ID"])
    outcome = ops("postprovision", AZURE_ENV_NAME="gone", AZURE_KEY_VAULT_ID=None)
    assert outcome.code == 2
    assert "AZURE_KEY_VAULT_ID" in outcome.text


def test_environment_that_azd_does_not_have_is_wrong_usage(ops: Ops) -> None:
    outcome = ops("postprovision", "--environment", "nowhere")
    assert outcome.code == 2
    assert "azd env list" in outcome.text


@pytest.mark.parametrize("address", ["http://graph.example.com", "ftp://graph.microsoft.com", "graph.microsoft.com"])
def test_token_never_goes_to_an_address_without_tls(ops: Ops, address: str) -> None:
    outcome = ops("postprovision", GRAPH_BASE_URL=address)
    assert outcome.code == 2
    assert "GRAPH_BASE_URL" in outcome.text
    assert address not in outcome.text
    assert not ops.world.passwords()


def process(ops: Ops, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The whole program, with the credentials that it uses in earnest."""
    folder = ops.root / "bin"
    folder.mkdir()
    program(folder, "azd", SIGNED_IN)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "ops", command],
        cwd=REPOSITORY,
        env={**os.environ, **ops.cloud.environment(), "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command_runs_as_whoever_is_signed_in_to_azd(ops: Ops) -> None:
    outcome = process(ops, "postprovision")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert len(ops.world.passwords()) == 1
    assert not outcome.stderr
    assert TENANT not in outcome.stdout


def test_name_that_the_terminal_cannot_show_ends_no_command(ops: Ops) -> None:
    """On Windows, what goes to a pipe is written in the code page of the machine."""
    ops.world.resources[f"/subscriptions/{SUBSCRIPTION}"] = {
        "displayName": "Entwicklung \N{EURO SIGN}",
        "state": "Enabled",
    }
    outcome = process(ops, "preflight", PYTHONIOENCODING="ascii")
    assert "Entwicklung \\u20ac" in outcome.stdout, outcome.stdout + outcome.stderr
    assert not outcome.stderr
