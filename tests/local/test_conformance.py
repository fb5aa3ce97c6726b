"""`conformance`: which Node it takes, what is pinned, and that each expected failure has its reason."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from local.conformance import SUITE, conformance, installed, node_for_the_suite, pinned
from local.progress import SetupError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = REPOSITORY / "tests" / "engine" / "conformance"


def fake(folder: Path, name: str, answer: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["v22.0.0", "v24.1.2"])
def test_node_that_is_new_enough_is_taken(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node = fake(tmp_path, "node", f"echo {version}")
    assert node_for_the_suite(str(node)) == str(node)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert node_for_the_suite(None) == str(node)


@pytest.mark.parametrize("version", ["v20.20.2", "", "nonsense"])
def test_node_that_is_too_old_is_refused_and_told_how_to_name_another(tmp_path: Path, version: str) -> None:
    node = fake(tmp_path, "node", f"echo {version}")
    with pytest.raises(SetupError, match="needs Node 22 or newer: --node PATH"):
        node_for_the_suite(str(node))


def test_node_that_is_not_there_is_told() -> None:
    with pytest.raises(SetupError, match="is not there"):
        node_for_the_suite("/no/such/node")


def test_suite_that_cannot_be_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = fake(tmp_path, "node", "echo v22.0.0")
    fake(tmp_path, "npm", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "tests" / "engine" / "conformance"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"devDependencies": {SUITE: "1.0.0"}}))
    with pytest.raises(SetupError, match="npm could not install the suite"):
        conformance(tmp_path, node=str(node))


def test_installed_version_is_read(tmp_path: Path) -> None:
    assert installed(tmp_path) is None
    (tmp_path / "node_modules" / SUITE).mkdir(parents=True)
    (tmp_path / "node_modules" / SUITE / "package.json").write_text('{"version": "1.2.3"}')
    assert installed(tmp_path) == "1.2.3"


def test_suite_is_pinned_and_locked() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", pinned(FOLDER))
    locked = json.loads((FOLDER / "package-lock.json").read_text())["packages"][f"node_modules/{SUITE}"]
    assert locked["version"] == pinned(FOLDER)
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
