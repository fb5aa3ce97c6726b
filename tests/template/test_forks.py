"""A fork without the samples, with things of its own, passes the tests of the engine and is brought up to date."""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from entra_mcp import __version__
from local.app_settings import SAMPLE, read_settings
from local.config import REPOSITORY, LocalConfig
from local.fork import ANSWERS, TEMPLATE_ALONE, Answers, new, upgrade
from tests.template.forks import OWN, add_own, commit, copy_of_the_template, git, python

if TYPE_CHECKING:
    from pathlib import Path

NEW = ("-m", "local", "new", "--name", "Order desk")
ORIGIN = ("--template", "https://example.com/template.git")

BOUNDS = "tests/engine/unit/test_bounds.py"
QUICK = ("tests/app", "tests/engine/unit/test_contract.py", BOUNDS, "tests/engine/unit/toolkit")


def fork_in(folder: Path, *options: str) -> Path:
    commit(copy_of_the_template(folder), "The template")
    python(folder, *NEW, *ORIGIN, *options)
    return folder


def pass_tests(fork: Path, *paths: str) -> None:
    assert " passed" in python(
        fork, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not long", *paths
    )


def test_fork_without_samples_has_its_own_name_and_no_tool(tmp_path: Path) -> None:
    fork = fork_in(tmp_path, "--no-samples", "--auth-mode", "federated", "--licence-holder", "Contoso Ltd")
    files = {path.name for path in (fork / "src" / "app").rglob("*") if path.is_file()}
    assert files == {"__init__.py", "server.py"}
    assert 'name="Order desk"' in (fork / "src" / "app" / "server.py").read_text()
    assert "Contoso Ltd" in (fork / "LICENSE").read_text()
    assert json.loads((fork / "local.settings.sample.json").read_text())["Values"]["AUTH_MODE"] == "federated"
    assert not any((fork / name).exists() for name in TEMPLATE_ALONE)
    assert f"_src_path: {json.dumps(ORIGIN[1])}" in (fork / ANSWERS).read_text()
    assert "fork already" in python(fork, *NEW, *ORIGIN, fails=True)


def test_fork_with_the_samples_keeps_them(tmp_path: Path) -> None:
    fork = fork_in(tmp_path, "--samples")
    server = (fork / "src" / "app" / "server.py").read_text()
    assert 'name="Order desk"' in server
    assert (fork / "src" / "app" / "tools" / "add.py").exists()
    assert (fork / "tests" / "app" / "test_tools.py").exists()


def test_name_of_the_server_stays_one_word_of_the_command_that_sets_it(tmp_path: Path) -> None:
    copy_of_the_template(tmp_path)
    name = 'Café of "Bob\'s" $HOME'
    told = python(tmp_path, *NEW, *ORIGIN, "--samples", "--name", name)
    (command,) = [line for line in told.splitlines() if "azd env set MCP_SERVER_NAME" in line]
    assert shlex.split(command, comments=True)[-1] == name


@pytest.mark.parametrize(
    "name",
    [
        "Contoso's desk",
        'The "desk"',
        "\"It's\" 'a' desk",
        '"A\\" \'B\' \\"',
        "Contoso\u2019s \u2013 desk",
        "Größe 😀",
        "Заказы A",
    ],
)
@pytest.mark.parametrize("samples", [True, False])
def test_any_name_leaves_well_formed_files(tmp_path: Path, name: str, samples: bool) -> None:
    copied = (
        "src/app",
        "src/entra_mcp/__init__.py",
        "src/entra_mcp/definition.py",
        "pyproject.toml",
        "LICENSE",
        SAMPLE,
    )
    for path in copied:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (REPOSITORY / path).is_dir() else shutil.copy)(REPOSITORY / path, tmp_path / path)
    commit(tmp_path, "The template")
    new(tmp_path, Answers(server_name=name, samples=samples), template=ORIGIN[1])
    for check in (("check",), ("format", "--check")):
        python(tmp_path, "-m", "ruff", *check, "src/app/server.py")
    tree = ast.parse((tmp_path / "src/app/server.py").read_text())
    assert name in [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    answers = yaml.safe_load((tmp_path / ANSWERS).read_text())
    assert answers["server_name"] == name


@pytest.mark.parametrize("tenants", ["organizations", "consumers"])
def test_people_of_a_fork_sign_in_at_the_page_of_its_tenants(tmp_path: Path, tenants: str) -> None:
    settings = read_settings(fork_in(tmp_path, "--samples", "--tenants", tenants) / SAMPLE)
    assert settings.values["ENTRA_TENANT_ID"] == tenants
    assert settings.values["ENTRA_AUTHORIZATION_ENDPOINT"] == LocalConfig().authorization_endpoint(tenants)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--name", "x" * 65), "1 to 64 characters"),
        (("--name", "a\nb"), "1 to 64 characters"),
        (("--licence-holder", "a\nb"), "one line"),
        (("--auth-mode", "magic"), "invalid choice"),
    ],
)
def test_answer_that_will_not_do_changes_nothing(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    copy_of_the_template(tmp_path)
    assert reason in python(tmp_path, *NEW, *ORIGIN, *options, fails=True)
    assert (tmp_path / "copier.yml").exists()
    assert not (tmp_path / ANSWERS).exists()


@pytest.mark.parametrize("file", ["src/app/tools/mine.py", "src/app/tools/add.py", "tests/app/test_tools.py"])
def test_samples_stay_while_there_is_work_that_is_not_committed(tmp_path: Path, file: str) -> None:
    commit(copy_of_the_template(tmp_path), "The template")
    (tmp_path / file).write_text("# mine\n")
    told = python(tmp_path, *NEW, *ORIGIN, "--no-samples", fails=True)
    assert "commit it first" in told
    assert file in told
    assert git(tmp_path, "status", "--porcelain", "--untracked-files=all")[3:] == f"{file}\n"
    assert (tmp_path / file).read_text() == "# mine\n"


def test_samples_stay_where_git_keeps_nothing(tmp_path: Path) -> None:
    copy_of_the_template(tmp_path)
    assert "git init" in python(tmp_path, *NEW, *ORIGIN, "--no-samples", fails=True)
    assert (tmp_path / "copier.yml").exists()
    assert (tmp_path / "src" / "app" / "tools" / "add.py").exists()


def test_fork_with_things_of_its_own_passes_the_tests_that_concern_them(tmp_path: Path) -> None:
    fork = fork_in(tmp_path, "--no-samples")
    add_own(fork)
    pass_tests(fork, *QUICK)
    for check in (("check",), ("format", "--check")):
        python(fork, "-m", "ruff", *check, *OWN, "src/app")


def test_fork_learns_of_an_argument_without_bounds(tmp_path: Path) -> None:
    fork = fork_in(tmp_path, "--no-samples")
    tool = "from fastmcp.tools import tool\n\n\n@tool\nasync def endless(text: str) -> str:\n    return text\n"
    (fork / "src" / "app" / "tools" / "endless.py").write_text(tool)
    told = python(fork, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", BOUNDS, fails=True)
    assert "{'endless': [{'type': 'string'}]}" in told


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_fork_with_things_of_its_own_passes_every_test(tmp_path: Path) -> None:
    fork = fork_in(tmp_path, "--no-samples")
    add_own(fork)
    commit(fork, "Begin")
    assert " passed" in python(fork, "-m", "local", "test")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fork_is_upgraded_without_a_conflict(tmp_path: Path) -> None:
    """From one tag of the template to the next, with changes on both sides."""
    template, fork = copy_of_the_template(tmp_path / "template"), tmp_path / "fork"
    commit(template, "First", tag="v1.0.0")
    copied = ("--trust", "--defaults", "--data", "server_name=Order desk", "--data", "samples=false")
    python(tmp_path, "-m", "copier", "copy", *copied, str(template), str(fork))
    add_own(fork)
    entry = fork / "function_app.py"
    entry.write_text(entry.read_text() + "\n\n# A function of the fork's own would stand here.\n")
    (fork / "README.md").write_text("# Order desk\n")
    commit(fork, "Begin")

    (template / "src" / "entra_mcp" / "new_in_the_second.py").write_text('"""New."""\n')
    changed = template / "src" / "entra_mcp" / "urls.py"
    changed.write_text(changed.read_text() + "\n# Changed in the second version.\n")
    (template / "src" / "app" / "tools" / "add.py").write_text("raise ValueError\n")
    (template / "README.md").write_text("# The template, second version\n")
    entry = template / "function_app.py"
    entry.write_text(entry.read_text().replace("Entry point", "The entry point"))
    commit(template, "Second", tag="v2.0.0")

    told = python(fork, "-c", UPGRADE)
    assert "Merged without a conflict" in told, told
    assert (fork / "src" / "entra_mcp" / "new_in_the_second.py").exists()
    assert "Changed in the second version" in (fork / "src" / "entra_mcp" / "urls.py").read_text()
    assert "The entry point" in (fork / "function_app.py").read_text()
    assert "A function of the fork's own" in (fork / "function_app.py").read_text()
    assert (fork / "README.md").read_text() == "# Order desk\n"
    assert not (fork / "src" / "app" / "tools" / "add.py").exists()
    assert (fork / "src" / "app" / "tools" / "find_orders.py").read_text() == OWN["src/app/tools/find_orders.py"]
    assert "_commit: v2.0.0" in (fork / ANSWERS).read_text()
    pass_tests(fork, *QUICK)


UPGRADE = """
import sys
from pathlib import Path
from local.fork import upgrade
raise SystemExit(upgrade(Path.cwd(), version=None, copier=(sys.executable, "-m", "copier")))
"""


@pytest.mark.parametrize("program", [NEW, ("-c", UPGRADE)])
def test_missing_git_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: tuple[str, ...]) -> None:
    copy_of_the_template(tmp_path)
    if program != NEW:
        (tmp_path / ANSWERS).touch()
    monkeypatch.setenv("PATH", "")
    told = python(tmp_path, *program, fails=True)
    assert "There is no `git` on PATH" in told
    assert (tmp_path / "copier.yml").exists()


def test_fork_says_where_its_upgrades_come_from_or_is_not_made(tmp_path: Path) -> None:
    copy_of_the_template(tmp_path)
    assert "--template" in python(tmp_path, *NEW, fails=True)
    assert not (tmp_path / ANSWERS).exists()


def test_fork_knows_the_commit_of_the_template_that_it_is_made_from(tmp_path: Path) -> None:
    template, fork = tmp_path / "template", tmp_path / "fork"
    commit(copy_of_the_template(template), "First", tag="v1.0.0")
    commit(template, "Second")
    git(tmp_path, "clone", "--quiet", str(template), str(fork))
    commit(fork, "Of the fork's own")
    python(fork, *NEW)
    base = git(template, "describe", "--tags").strip()
    assert base.startswith("v1.0.0-1-g")
    assert f'_commit: "{base}"' in (fork / ANSWERS).read_text()


def test_repository_without_the_templates_history_has_its_version(tmp_path: Path) -> None:
    assert f'_commit: "v{__version__}"' in (fork_in(tmp_path, "--samples") / ANSWERS).read_text()


def small_fork(tmp_path: Path) -> tuple[Path, Path]:
    """A template of one file at its first tag, and a fork of it that has changed the file."""
    template, fork = tmp_path / "template", tmp_path / "fork"
    template.mkdir()
    for name in ("copier.yml", "{{_copier_conf.answers_file}}.jinja"):
        (template / name).write_text((REPOSITORY / name).read_text().split("\n_tasks:")[0])
    (template / "helper.txt").write_text("The template's\n")
    commit(template, "First", tag="v1.0.0")
    python(tmp_path, "-m", "copier", "copy", "--defaults", str(template), str(fork))
    (fork / "helper.txt").write_text("The fork's\n")
    commit(fork, "Begin")
    return template, fork


def small_upgrade(fork: Path, version: str | None = None) -> int:
    return upgrade(fork, version=version, copier=(sys.executable, "-m", "copier"))


def test_upgrade_names_a_file_that_it_deletes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template, fork = small_fork(tmp_path)
    (template / "helper.txt").unlink()
    commit(template, "Second", tag="v2.0.0")
    assert small_upgrade(fork) == 0
    assert "deleted helper.txt" in capsys.readouterr().out
    assert git(fork, "show", "HEAD:helper.txt") == "The fork's\n"


def test_upgrade_from_what_the_template_does_not_have_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, fork = small_fork(tmp_path)
    answers = fork / ANSWERS
    answers.write_text(answers.read_text().replace("v1.0.0", "v0.9.0"))
    commit(fork, "Another base")
    for version, unknown in ((None, "v0.9.0"), ("v8.0.0", "v8.0.0")):
        assert small_upgrade(fork, version) == 1
        told = "".join(capsys.readouterr())
        assert f"Unknown revision: '{unknown}'" in told
        assert "_commit" in told
        assert "Traceback" not in told


def test_upgrade_wants_committed_changes(tmp_path: Path) -> None:
    fork = fork_in(tmp_path, "--no-samples")
    commit(fork, "Begin")
    (fork / "README.md").write_text("# Order desk\n")
    assert "Commit or stash them first" in python(fork, "-c", UPGRADE, fails=True)
    assert git(fork, "status", "--porcelain") == " M README.md\n"


def test_upgrade_of_what_is_no_fork_says_how_to_make_one(tmp_path: Path) -> None:
    copy_of_the_template(tmp_path)
    assert "`make new`" in python(tmp_path, "-c", UPGRADE, fails=True)
