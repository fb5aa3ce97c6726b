"""`clients`: what it installs, what it says when it cannot, and that it hands over names and exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.cli import parser
from local.clients import ENVIRONMENTS, clients
from local.config import REPOSITORY
from local.progress import CommandError
from local.setup.programs import INSTALLED
from local.tasks import CLIENTS

if TYPE_CHECKING:
    from pathlib import Path


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
