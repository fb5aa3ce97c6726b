"""The package is what .funcignore leaves, with our own code compiled, so that no cold start compiles it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from local.config import REPOSITORY
from ops.commands.package import STAGE, contents
from tests.engine.functions import package as azd_package

if TYPE_CHECKING:
    from tests.ops.conftest import Ops

AZURE: dict[str, Any] = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))
IMPORT = "import sys; sys.path.insert(0, 'src'); import entra_mcp.errors as m; print(m.__cached__, m.__file__)"


@pytest.fixture
def clone(ops: Ops) -> Ops:
    """The files of the app in a folder of their own, and what a working folder collects beside them."""
    for path in [*contents(REPOSITORY), Path(".funcignore"), Path(".python-version")]:
        (ops.root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / path, ops.root / path)
    for stray in (
        "tests/x.py",
        ".venv/pyvenv.cfg",
        "own_env/pyvenv.cfg",
        "src/entra_mcp/__pycache__/x.cpython-313.pyc",
    ):
        (ops.root / stray).parent.mkdir(parents=True, exist_ok=True)
        (ops.root / stray).write_text("x")
    return ops


def staged(ops: Ops) -> set[str]:
    folder = ops.root / STAGE
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_package_is_what_azd_would_take_and_every_module_compiled(clone: Ops) -> None:
    for _ in range(2):
        outcome = clone("package")
        assert outcome.code == 0, outcome.text
        found = staged(clone)
        sources = {name for name in found if "__pycache__" not in name}
        assert sources == {path.as_posix() for path in azd_package.contents(clone.root)}
        modules = {name for name in sources if name.endswith(".py")}
        assert len(found - sources) == len(modules) > 100


def test_compiled_code_runs_without_a_look_at_its_source(clone: Ops) -> None:
    assert clone("package").code == 0
    folder = clone.root / STAGE
    (folder / "src" / "entra_mcp" / "errors.py").write_text("raise SystemExit('was compiled again')")
    command = [sys.executable, "-B", "-c", IMPORT]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "__pycache__" in finished.stdout


def test_compiled_code_does_not_name_the_folder_in_which_it_was_compiled(clone: Ops) -> None:
    assert clone("package").code == 0
    compiled = list((clone.root / STAGE).rglob("*.pyc"))
    assert compiled
    assert not [path.name for path in compiled if str(clone.root).encode() in path.read_bytes()]


def test_every_package_that_azure_installs_has_its_version_and_hashes(clone: Ops) -> None:
    assert clone("package").code == 0
    text = (clone.root / STAGE / "requirements.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert lines
    assert [
        line for line in lines if not re.match(r"[\w.-]+(\[[\w,.-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []


def test_working_folder_keeps_nothing_that_hides_a_change_of_its_sources(clone: Ops) -> None:
    before = {path for path in clone.root.rglob("*.pyc") if STAGE.name not in path.parts}
    assert clone("package").code == 0
    assert {path for path in clone.root.rglob("*.pyc") if not path.is_relative_to(clone.root / STAGE)} == before


def test_package_of_another_python_is_not_compiled_and_says_so(clone: Ops) -> None:
    (clone.root / ".python-version").write_text("3.12\n")
    outcome = clone("package")
    assert outcome.code == 0
    assert "Azure runs Python 3.12" in outcome.text
    assert not [name for name in staged(clone) if name.endswith(".pyc")]


def test_contents_are_listed_with_sizes(clone: Ops) -> None:
    (clone.root / "assets").mkdir()
    (clone.root / "assets" / "large.bin").write_bytes(b"x" * 5_000_000)
    text = clone("package").text
    assert "4882.8 KB" in text.partition("assets")[0].rpartition("\n")[2]
    assert "host.json" in text
    assert "in all, " in text


def test_module_that_is_no_python_stops_the_package(clone: Ops) -> None:
    (clone.root / "src" / "broken.py").write_text("def")
    outcome = clone("package")
    assert outcome.code == 1
    assert "cannot be compiled" in outcome.text


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("/src", {"src/a.py", "src/deep/b.py"}),
        ("src", {"src/a.py", "src/deep/b.py", "lib/src/c.py"}),
        ("src/deep", {"src/deep/b.py"}),
        ("**/deep", {"src/deep/b.py"}),
        ("*.md", {"x.md", "lib/y.md"}),
        ("/*.md", {"x.md"}),
        ("deep/", {"src/deep/b.py"}),
        ("# src", set[str]()),
    ],
)
def test_pattern_leaves_out_what_git_would(tmp_path: Path, line: str, left_out: set[str]) -> None:
    everything = {"src/a.py", "src/deep/b.py", "lib/src/c.py", "x.md", "lib/y.md"}
    for name in everything:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".funcignore").write_text(f"{line}\n")
    assert everything - {path.as_posix() for path in contents(tmp_path)} == left_out


def test_exception_from_a_pattern_is_refused_with_its_line(clone: Ops) -> None:
    (clone.root / ".funcignore").write_text("*.md\n!README.md\n")
    outcome = clone("package")
    assert outcome.code == 2
    assert "!README.md" in outcome.text


def test_azd_takes_the_package_from_where_its_hook_puts_it() -> None:
    server = AZURE["services"]["server"]
    assert server["dist"] == STAGE.as_posix()
    hook = server["hooks"]["prepackage"]
    assert hook["kind"] == "python"
    assert 'main(["package"])' in (REPOSITORY / hook["run"]).read_text("utf-8")
    assert Path(hook["run"]).parent == Path(AZURE["hooks"]["preprovision"]["run"]).parent
