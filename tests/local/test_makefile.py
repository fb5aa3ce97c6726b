"""The Makefile: it only calls `python -m local`, with what stands on make's own command line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from local.cli import parser
from local.config import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make; `python -m local` needs none")


def surroundings() -> dict[str, str]:
    """The environment without what make sets: the suite itself may run under make, which must not reach this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=REPOSITORY,
        env={**surroundings(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def called(*arguments: str, **variables: str) -> list[str]:
    """The words of the one command that make would run, after the Python."""
    (line,) = make("--dry-run", *arguments, **variables).stdout.splitlines()
    python, *rest = line.split()
    assert "python" in python
    return rest


@pytest.mark.parametrize(
    "target", ["run", "services", "test", "bench", "check", "conformance", "tool", "lock", "setup", "clean"]
)
def test_target_calls_the_command_of_its_name(target: str) -> None:
    assert called(target) == ["-m", "local", target]


def test_help_is_the_default_and_shows_the_commands() -> None:
    told = make()
    assert told.returncode == 0
    assert "usage: python -m local" in told.stdout
    assert told.stdout == make("help").stdout


def test_help_names_every_target_and_variable() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)) - {"help"}
    variables = set(re.findall(r"call (?:given|switch|option),([A-Z_]+)", makefile))
    assert len(targets) > 8
    assert len(variables) > 12
    told = make("help").stdout
    assert {target for target in targets if not re.search(rf"make {target}(?![\w-])", told)} == set()
    assert {name for name in variables if not re.search(rf"\b{name}\b", told)} == set()


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["CHECK=1"], ["--check"]),
        (["CHECK=0"], []),
        (["CHECK="], []),
        (["WATCH=1", "CHECK=yes"], ["--check", "--watch"]),
        (["TRACE=1", "TRACES_PORT=7"], ["--trace", "--traces-port", "7"]),
        (["HOST=func"], ["--host", "func"]),
        (["PORT=8000"], ["--functions-port", "8000"]),
        (["BLOB_PORT=1", "QUEUE_PORT=2"], ["--blob-port", "1", "--queue-port", "2"]),
        (["TABLE_PORT=3", "ENTRA_PORT=4"], ["--table-port", "3", "--entra-port", "4"]),
        (["SIGN_IN_PORT=5", "VAULT_PORT=6"], ["--sign-in-port", "5", "--vault-port", "6"]),
    ],
)
def test_variables_become_flags_that_the_command_knows(arguments: list[str], flags: list[str]) -> None:
    words = called("run", *arguments)
    assert words == ["-m", "local", "run", *flags]
    parser().parse_args(words[2:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["services", "VAULT_PORT=6", "CHECK=1"], ["services", "--vault-port", "6"]),
        (["test", "FAST=1", "ARGS=-x"], ["test", "--fast", "-x"]),
        (["test", "ARGS=tests/app -k 'one or two'"], ["test", "tests/app", "-k", "'one", "or", "two'"]),
        (
            ["bench", "PART=calls cpu", "COMPARE=a.json", "RECORD=1", "ARGS=--rounds 3"],
            ["bench", "calls", "cpu", "--compare", "a.json", "--record", "--rounds", "3"],
        ),
        (["conformance", "NODE=/opt/node"], ["conformance", "--node", "/opt/node"]),
        (["tool", "NAME=find_order"], ["tool", "find_order"]),
    ],
)
def test_variables_of_other_targets_are_passed_on(arguments: list[str], words: list[str]) -> None:
    assert called(*arguments) == ["-m", "local", *words]
    _, unknown = parser().parse_known_args(words)
    assert unknown == [] or words[0] == "test"  # whatever follows is pytest's


@pytest.mark.parametrize("target", ["run", "test", "bench", "conformance", "tool"])
def test_variables_of_the_shell_do_not_count(target: str) -> None:
    shell = {"HOST": "my-laptop", "PORT": "3000", "CHECK": "1", "WATCH": "1", "ARGS": "-x", "PYTHON": "/no/python"}
    assert called(target, **shell, PART="cpu", NODE="/a/node", NAME="a_tool") == ["-m", "local", target]


def fake_python(folder: Path, name: str, *, new_enough: bool) -> None:
    script = folder / name
    script.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit {0 if new_enough else 1}\necho "{name} $*"\n')
    script.chmod(0o755)


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"python3.13": True, "python3": True, "python": True}, "python3.13"),
        ({"python3": True, "python": True}, "python3"),
        ({"python3": False, "python": True}, "python"),
        ({"python3.13": False, "python3": False}, "python3"),
    ],
)
def test_first_python_that_is_new_enough_is_taken(tmp_path: Path, there: dict[str, bool], chosen: str) -> None:
    for tool in ("make", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    for name, new_enough in there.items():
        fake_python(tmp_path, name, new_enough=new_enough)
    assert make("check", PATH=str(tmp_path)).stdout == f"{chosen} -m local check\n"


def test_python_can_be_named_on_the_command_line() -> None:
    assert make("--dry-run", "check", "PYTHON=/my/python").stdout == "/my/python -m local check\n"


def test_failure_of_the_command_fails_make(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert make("check", f"PYTHON={broken}").returncode != 0


def test_ci_runs_make_test_from_anywhere_and_passes_its_exit_code_on(tmp_path: Path) -> None:
    script = tmp_path / "checkout" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / ".ci" / "run", script)
    (tmp_path / "checkout" / "Makefile").write_text("test:\n\t@echo tested in $(notdir $(CURDIR))\n\t@exit 3\n")
    ended = subprocess.run(
        [script], cwd=tmp_path, env=surroundings(), capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout == "tested in checkout\n"
    assert ended.returncode != 0
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
