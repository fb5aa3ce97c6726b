"""The command line: what it refuses, what it prints, and what its exit codes mean."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import cli, tasks
from local.cli import COMMANDS, main
from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.fork import Answers


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_there_without_any_set_up(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([name] if name else []), "--help"])
    assert ended.value.code == 0
    assert "usage: python -m local" in capsys.readouterr().out


def test_overview_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for name in COMMANDS:
        assert f"    {name} " in told
    assert "exit codes: 0 all is well, 1 " in told
    assert "3 a port is taken" in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: command"),
        (["dance"], "invalid choice"),
        (["run", "--functions-port", "0"], "0 is no port"),
        (["run", "--functions-port", "65536"], "65536 is no port"),
        (["run", "--functions-port", "-1"], "-1 is no port"),
        (["run", "--blob-port", "http"], "http is no port"),
        (["run", "--vault-port", "7071"], "--functions-port and --vault-port are both 7071"),
        (["services", "--sign-in-port", "10002"], "--table-port and --sign-in-port are both 10002"),
        (["run", "--host", "docker"], "invalid choice"),
        (["run", "--host", "func", "--watch"], "Core Tools watches by itself"),
        (["run", "--host", "func", "--settings", "pyproject.toml"], "always reads local.settings.json"),
        (["run", "--settings", "no-such-file"], "no-such-file is no file"),
        (["run", "extra"], "unrecognized arguments: extra"),
        (["tool"], "required: NAME"),
        (["check", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 12)])
def test_old_python_is_refused_before_anything_else(version: tuple[int, int]) -> None:
    pretend = f"import runpy, sys; sys.version_info = {(*version, 0, 'final', 0)}"
    command = [sys.executable, "-c", f"{pretend}; runpy.run_module('local', run_name='__main__')", "run"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert f"needs Python 3.13 or newer; this is Python {version[0]}.{version[1]}" in ended.stderr
    assert "python3.13 -m local run" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_first_lines_import_nothing_but_the_standard_library() -> None:
    setup = ", ".join(f"local.setup.{name}" for name in ("environment", "chromium", "programs", "uv"))
    code = f"import sys; import local.cli, local.tasks, {setup}; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) <= {"local", "bench", "__main__"}


# new

ANSWERED = ("new", "--name=Order desk", "--auth-mode=proxy", "--tenants=one", "--licence-holder=", "--template=x")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[bool]]:
    """What is typed at the prompts; returns whether each fork that was made keeps the samples."""
    kept: list[bool] = []

    def new(_root: Path, answers: Answers, *, template: str | None) -> int:
        assert template is not None
        kept.append(answers.samples)
        return 0

    def type_in(text: str) -> list[bool]:
        with monkeypatch.context() as patch:
            patch.setattr(cli, "new", new)
            typing = io.StringIO(text)
            patch.setattr(typing, "isatty", lambda: True)
            patch.setattr(sys, "stdin", typing)
            return kept if main(ANSWERED) == 0 else []

    return type_in


@pytest.mark.parametrize(
    ("answer", "kept"),
    [("", True), ("yes", True), ("Yes", True), ("Y", True), ("no", False), ("NO", False), ("n", False)],
)
def test_answer_about_the_samples_is_yes_or_no_however_it_is_written(
    typed: Callable[[str], list[bool]], answer: str, kept: bool
) -> None:
    assert typed(f"{answer}\n") == [kept]


@pytest.mark.parametrize(("text", "complaint"), [("yse\n", "'yse' is neither yes nor no"), ("", "the input ended")])
def test_answer_that_is_neither_makes_no_fork(
    typed: Callable[[str], list[bool]], text: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(text) == []
    assert complaint in capsys.readouterr().err


# test


def test_test_passes_its_arguments_on_and_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_WORKERS", 2)
    (tmp_path / "test_it.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    assert tasks.test(tmp_path, ["-k", "one", "-p", "no:cacheprovider"], chromium=None) == 0


@pytest.mark.parametrize(
    ("source", "expected"), [("def test_it(): assert False\n", 1), ("", 1), ("import nothing_like_this\n", 1)]
)
def test_test_fails_with_1_whatever_pytest_says(tmp_path: Path, source: str, expected: int) -> None:
    (tmp_path / "test_it.py").write_text(source)
    assert tasks.test(tmp_path, ["-n", "0", "-p", "no:cacheprovider"], chromium=None) == expected


def test_single_file_is_run_by_one_process_which_gets_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    browser, worker = "os.environ['CHROMIUM'] == '/my/chromium'", "'PYTEST_XDIST_WORKER' not in os.environ"
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(f"import os\ndef test_it(): assert {browser} and {worker}\n")
    arguments = ["tests/test_it.py::test_it", "-p", "no:cacheprovider"]
    assert tasks.test(tmp_path, arguments, chromium=Path("/my/chromium")) == 0


@pytest.mark.parametrize(("where", "expected"), [("ops", 0), ("engine/unit", 1)])
def test_fast_tests_are_those_that_start_no_process(tmp_path: Path, where: str, expected: int) -> None:
    for folder in (*tasks.FAST, f"tests/{where}"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "tests" / "app" / "test_good.py").write_text("def test_it(): pass\n")
    (tmp_path / "tests" / where / "test_bad.py").write_text("def test_it(): assert False\n")
    assert tasks.test(tmp_path, ["--fast", "-n", "0", "-p", "no:cacheprovider"], chromium=None) == expected


def test_folders_of_the_fast_tests_are_there() -> None:
    assert all((REPOSITORY / folder).is_dir() for folder in tasks.FAST)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], True),
        (["-x", "-k", "store"], True),
        (["tests"], True),
        (["tests/"], True),
        (["tests/engine/browser/test_sign_in.py::test_it"], True),
        (["tests/engine/unit", "tests/engine/browser"], True),
        (["tests/engine/unit"], False),
        (["--fast", "-x"], False),
        (["-x", "tests/engine/unit/test_settings.py::test_it", "-q"], False),
    ],
)
def test_browser_is_wanted_only_where_a_browser_test_may_run(arguments: list[str], *, expected: bool) -> None:
    assert tasks.wants_browser(arguments) is expected


# check


def project(folder: Path, source: str) -> Path:
    (folder / "pyproject.toml").write_text("[tool.pyright]\ntypeCheckingMode = 'strict'\n")
    (folder / "it.py").write_text(source)
    return folder


def test_check_passes_clean_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tasks.check(project(tmp_path, "x: int = 1\n")) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "All 3 checks passed."


def test_check_runs_all_and_names_every_one_that_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tasks.check(project(tmp_path, "import os\nx:int = 'a'\n")) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "FAILED: ruff check, ruff format, pyright"


def test_check_measures_documents_where_the_rules_about_them_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rules = project(tmp_path, "x: int = 1\n") / tasks.READABILITY
    rules.parent.mkdir(parents=True)
    rules.write_text("def test_document_is_easy_to_read() -> None:\n    raise AssertionError\n")
    assert tasks.check(tmp_path) == 1
    assert "readability" in capfd.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(("link", "code"), [("index.md", 0), ("missing.md", 1)])
def test_site_is_built_unless_a_link_leads_nowhere(tmp_path: Path, link: str, code: int) -> None:
    (tmp_path / "mkdocs.yml").write_text("site_name: Documents\nsite_dir: .local/site\nstrict: true\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n[Go]({link})\n")
    assert tasks.docs(tmp_path) == code
    assert (tmp_path / ".local" / "site" / "index.html").is_file()


# clean


@pytest.mark.parametrize("everything", [False, True])
def test_clean_removes_what_was_made_and_keeps_the_rest(tmp_path: Path, *, everything: bool) -> None:
    made = [".venv", "node_modules", ".local", ".pytest_cache", ".ruff_cache", "src/a/__pycache__", "tests/__pycache__"]
    for name in [*made, "src/b", ".git"]:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("x")
    assert tasks.clean(tmp_path, everything=everything) == 0
    left = {name for name in made if (tmp_path / name).exists()}
    assert left == (set() if everything else {".venv", "node_modules", ".local"})
    assert (tmp_path / "src/b/file").exists()
    assert (tmp_path / ".git/file").exists()


@pytest.mark.skipif(os.name != "posix", reason="makes a symbolic link")
def test_clean_removes_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".local").symlink_to(tmp_path / "elsewhere")
    assert tasks.clean(tmp_path, everything=True) == 0
    assert (tmp_path / "elsewhere").is_dir()
    assert not (tmp_path / ".local").is_symlink()


# lock


def test_lock_stops_at_the_first_file_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text("not toml at all")
    assert tasks.lock(tmp_path, upgrade=False) == 1
    told = capfd.readouterr().out
    assert "FAILED: requirements.txt" in told
    assert "requirements-local.txt" not in told


def test_lock_reads_the_packages_of_a_fork_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "fork"\nversion = "1"\ndependencies = []\n')
    own = tmp_path / tasks.APP_REQUIREMENTS
    own.parent.mkdir(parents=True)
    own.write_text("not a package\n")
    assert tasks.lock(tmp_path, upgrade=False) == 1
    captured = capfd.readouterr()
    assert "FAILED: requirements.txt" in captured.out
    assert tasks.APP_REQUIREMENTS in captured.err.replace("\\", "/")


PINNED = re.compile(r"^([a-z0-9-]+)==\S+(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def test_every_locked_package_has_hashes_and_is_in_one_file() -> None:
    found: list[str] = []
    for name in tasks.LOCKED:
        text = (REPOSITORY / name).read_text("utf-8")
        assert PINNED.sub("", text).strip() == "", name
        found += [match[1] for match in PINNED.finditer(text)]
    assert len(found) == len(set(found)) > 100


@pytest.mark.parametrize(
    ("file", "packages"),
    [
        ("requirements.txt", ["fastmcp", "azure-functions-runtime", "pywin32"]),
        ("requirements-local.txt", ["trustme", "uv"]),
        ("requirements-dev.txt", ["pytest", "ruff", "pyright", "playwright", "hypothesis"]),
    ],
)
def test_packages_are_locked_where_they_are_needed(file: str, packages: list[str]) -> None:
    locked = [match[1] for match in PINNED.finditer((REPOSITORY / file).read_text("utf-8"))]
    assert set(packages) <= set(locked)
