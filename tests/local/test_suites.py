"""`clients` and `conformance`: what they install, what they say when they cannot, and what is pinned."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from local.cli import parser
from local.config import REPOSITORY
from local.progress import CommandError
from local.suites import ENVIRONMENTS, INSTALLED, clients, conformance
from local.tasks import CLIENTS, CONFORMANCE
from tests.local.test_environment import script

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = REPOSITORY / CONFORMANCE
SUITE = "@modelcontextprotocol/conformance"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with everything installed, whose clients say what they were started with and fail."""
    folder = tmp_path / CLIENTS
    (folder / "node_modules").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_bytes((REPOSITORY / CLIENTS / name).read_bytes())
    (folder / INSTALLED).write_text((folder / "package-lock.json").read_text("utf-8"), "utf-8")
    for name, pinned in json.loads((folder / "package.json").read_text("utf-8"))["python"].items():
        (tmp_path / ENVIRONMENTS / name).mkdir(parents=True)
        installed = json.dumps([f"{package}=={at}" for package, at in pinned.items()])
        (tmp_path / ENVIRONMENTS / name / "installed.json").write_text(installed)
    for package in (tmp_path / "tests", tmp_path / "tests" / "engine", folder):
        (package / "__init__.py").touch()
    (folder / "__main__.py").write_text("import sys\nprint(sys.argv[1:], flush=True)\nsys.exit(3)\n")
    return tmp_path


def test_names_are_handed_over_and_a_failure_is_exit_code_1(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert clients(checkout, ["codex", "gemini"], record=True, chromium=checkout / "chromium") == 1
    assert "['--record', 'codex', 'gemini']" in capfd.readouterr().out


def test_other_versions_are_installed_first(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / CLIENTS / INSTALLED).write_text("another lock", "utf-8")
    monkeypatch.setenv("PATH", str(checkout))
    with pytest.raises(CommandError, match="npm is not on PATH"):
        clients(checkout, [], record=False, chromium=checkout / "chromium")


def test_lock_is_of_the_pinned_versions() -> None:
    pins = json.loads((REPOSITORY / CLIENTS / "package.json").read_text("utf-8"))
    lock = json.loads((REPOSITORY / CLIENTS / "package-lock.json").read_text("utf-8"))
    locked = {name: lock["packages"][f"node_modules/{name}"]["version"] for name in pins["devDependencies"]}
    assert locked == pins["devDependencies"]
    python = [version for environment in pins["python"].values() for version in environment.values()]
    assert all(version[0].isdigit() for version in [*locked.values(), *python])


def test_command_line_takes_names() -> None:
    options = parser().parse_args(["clients", "--record", "codex"])
    assert (options.record, options.names) == (True, ["codex"])


# conformance


@pytest.mark.parametrize("version", ["v22.0.0", "v24.1.2"])
def test_node_that_is_new_enough_gets_as_far_as_npm(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, "node", f"echo {version}")
    script(tmp_path, "npm", "echo no network; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    folder = tmp_path / CONFORMANCE
    folder.mkdir(parents=True)
    (folder / "package-lock.json").write_text("{}")
    for node in (None, str(tmp_path / "node")):
        with pytest.raises(CommandError, match="no network") as caught:
            conformance(tmp_path, node=node)
        assert "Check the network" in str(caught.value)


@pytest.mark.parametrize("version", ["v20.20.2", "", "nonsense"])
def test_node_that_is_too_old_is_refused_and_told_how_to_name_another(tmp_path: Path, version: str) -> None:
    script(tmp_path, "node", f"echo {version}")
    with pytest.raises(CommandError, match="needs Node 22 or newer: --node PATH"):
        conformance(tmp_path, node=str(tmp_path / "node"))


def test_node_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"/no/such/node is not on PATH\. The conformance suite needs Node 22"):
        conformance(tmp_path, node="/no/such/node")


def test_suite_is_pinned_and_locked() -> None:
    pinned = json.loads((FOLDER / "package.json").read_text("utf-8"))["devDependencies"][SUITE]
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", pinned)
    locked = json.loads((FOLDER / "package-lock.json").read_text())["packages"][f"node_modules/{SUITE}"]
    assert locked["version"] == pinned
    assert locked["integrity"]


def test_every_expected_failure_has_its_reason() -> None:
    reason = ""
    lines = (FOLDER / "expected-failures.yml").read_text().partition("server:\n")[2].splitlines()
    entries = [line for line in lines if line.startswith("  - ")]
    assert entries
    for line in lines:
        if line.startswith("  #"):
            reason = line
        elif line.startswith("  - "):
            assert reason, f"{line} has no comment above it"
        else:
            reason = ""
