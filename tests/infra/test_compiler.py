"""The Bicep compiler: no warning, its own form of every file, and the deployments that the snapshots show.

Only collected where `bicep` is on PATH (conftest.py).
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.infra.snapshots import OPTIONS, parameter_sets, resources
from tests.infra.template import INFRA, templates

if TYPE_CHECKING:
    from pathlib import Path


def bicep(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bicep", *arguments], capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize("command", [("build", "--stdout"), ("lint",)], ids=lambda command: command[0])
def test_compiler_warns_of_nothing(command: tuple[str, ...]) -> None:
    """Unknown properties and API versions are warnings only, hence none at all."""
    done = bicep(command[0], str(INFRA / "main.bicep"), *command[1:])
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize(
    "file",
    [*(template.path for template in templates()), *parameter_sets()],
    ids=lambda file: file.relative_to(INFRA).as_posix(),
)
def test_file_has_the_form_that_the_compiler_gives_it(file: Path) -> None:
    done = bicep("format", str(file), "--stdout")
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert done.stdout == file.read_text("utf-8")


@pytest.mark.parametrize("parameters", parameter_sets(), ids=lambda file: file.stem)
def test_deployment_is_the_one_of_the_snapshot(parameters: Path, tmp_path: Path) -> None:
    """Made again in a copy: the compiler's own `--mode validate` fails at resources that have no id, as those of
    Microsoft Graph.
    """
    copy = shutil.copytree(INFRA, tmp_path / "infra") / parameters.relative_to(INFRA)
    done = bicep("snapshot", str(copy), "--mode", "overwrite", *OPTIONS.split())
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert resources(copy) == resources(parameters)
