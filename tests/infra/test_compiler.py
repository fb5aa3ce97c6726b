"""The Bicep compiler: no warning, its own form of every file, and the deployments that the snapshots show.

Only collected where `bicep` is on PATH (conftest.py).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.infra.compiler import Compiler, running_compiler
from tests.infra.snapshots import parameter_sets, resources
from tests.infra.template import INFRA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = "**/*.bicep*"
"""Templates and sets of parameters."""


def bicep(*arguments: str, folder: Path = INFRA) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bicep", *arguments], cwd=folder, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture(scope="module")
def compiler() -> Iterator[Compiler]:
    with running_compiler() as running:
        yield running


@pytest.mark.parametrize("command", [("build", "main.bicep", "--stdout"), ("lint", "--pattern", FILES)])
def test_compiler_warns_of_nothing(command: tuple[str, ...]) -> None:
    """Unknown properties and API versions are warnings only, hence none at all."""
    done = bicep(*command)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_files_have_the_form_that_the_compiler_gives_them(tmp_path: Path) -> None:
    copy = shutil.copytree(INFRA, tmp_path / "infra")
    (copy / "other.bicep").write_text("param   one string\n", "utf-8")
    done = bicep("format", "--pattern", FILES, folder=copy)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert (copy / "other.bicep").read_text("utf-8") == "param one string\n"
    files = [file.relative_to(INFRA) for file in INFRA.glob(FILES)]
    assert [name for name in files if (copy / name).read_bytes() != (INFRA / name).read_bytes()] == []


@pytest.mark.parametrize("parameters", parameter_sets(), ids=lambda file: file.stem)
def test_deployment_is_the_one_of_the_snapshot(parameters: Path, compiler: Compiler) -> None:
    """Asked for again: the compiler's own `--mode validate` fails at resources that have no id, as those of
    Microsoft Graph.
    """
    answer = compiler.snapshot(parameters)
    assert "error" not in answer
    assert json.loads(answer["result"]["snapshot"])["predictedResources"] == resources(parameters)
