"""`tool`: what it creates is clean, tested and callable; what it refuses leaves everything as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from local.new_tool import MAX_NAME, TESTS, TOOLS, new_tool
from local.progress import CommandError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a new tool touches and needs."""
    for folder in ("src", "ops", "local", "tests/app", "tests/support"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "tests/__init__.py"):
        shutil.copy(REPOSITORY / file, tmp_path / file)
    return tmp_path


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("name", ["made_by_a_test", "f" * MAX_NAME, "zebra"])
def test_new_tool_passes_the_linter(checkout: Path, name: str) -> None:
    assert new_tool(checkout, name) == 0
    made = (f"{TOOLS}/{name}.py", f"{TESTS}/test_{name}.py")
    for check in (("ruff", "check"), ("ruff", "format", "--check")):
        checked = run(checkout, *check, *made)
        assert checked.returncode == 0, checked.stdout


@pytest.mark.long
def test_new_tool_passes_its_test(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new_tool(checkout, "made_by_a_test") == 0
    told = capsys.readouterr().out
    assert f"{TOOLS}/made_by_a_test.py" in told
    assert f"make test ARGS={TESTS}/test_made_by_a_test.py" in told
    tested = run(checkout, "pytest", "-q", "-n", "0", f"{TESTS}/test_made_by_a_test.py")
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Find", "no name"),
        ("find-order", "no name"),
        ("2find", "no name"),
        ("_find", "no name"),
        ("find__order", "no name"),
        ("../find", "no name"),
        ("", "no name"),
        ("f" * (MAX_NAME + 1), "no name"),
        ("class", "means something in Python"),
        ("match", "means something in Python"),
        ("print", "means something in Python"),
    ],
)
def test_name_that_will_not_do_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=reason):
        new_tool(tmp_path, name)


def test_name_of_a_tool_that_is_there_is_refused(tmp_path: Path) -> None:
    for folder in (TOOLS, TESTS):
        (tmp_path / folder).mkdir(parents=True)
    assert new_tool(tmp_path, "made_by_a_test") == 0
    with pytest.raises(CommandError, match="is there already"):
        new_tool(tmp_path, "made_by_a_test")
