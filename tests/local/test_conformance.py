"""`conformance`: which Node it takes, what is pinned, and that each expected failure has its reason."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from local.conformance import conformance
from local.progress import CommandError
from tests.local.test_environment import script

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = REPOSITORY / "tests" / "engine" / "conformance"
SUITE = "@modelcontextprotocol/conformance"


@pytest.mark.parametrize("version", ["v22.0.0", "v24.1.2"])
def test_node_that_is_new_enough_gets_as_far_as_npm(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, "node", f"echo {version}")
    script(tmp_path, "npm", "echo no network; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    folder = tmp_path / "tests" / "engine" / "conformance"
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
