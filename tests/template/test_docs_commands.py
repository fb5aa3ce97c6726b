"""Every command that a document or a finding asks somebody to run exists, with the options that are given to it."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING

import pytest
import yaml

from local.config import REPOSITORY
from ops import environment
from ops.cli import parser_of
from ops.commands import load
from ops.environment import Input
from tests.infra.test_parameters import variables
from tests.support.sources import python_files

if TYPE_CHECKING:
    from pathlib import Path

PARSER = parser_of(load())

DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SOURCES = [*python_files(REPOSITORY / "ops"), *sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))]

CHOSEN_BY_AZD = {"AZURE_SUBSCRIPTION_ID", "AZURE_TENANT_ID"}


def texts() -> dict[str, str]:
    """Documents as they are; of sources the strings joined, which are written over several lines."""
    found = {file.relative_to(REPOSITORY).as_posix(): file.read_text("utf-8") for file in DOCUMENTS}
    for file in SOURCES:
        joined = re.sub(r"\"\s*\n\s*f?\"", "", file.read_text("utf-8"))
        found[file.relative_to(REPOSITORY).as_posix()] = joined
    return found


def command_lines(text: str) -> list[str]:
    """What follows `python -m ops`: to the end of the code span, or of the line, without a comment."""
    found = re.findall(r"(`?)\S*python -m ops\b([^`\n]*)", text)
    return [re.split(r"\s#|\\n|[;,](?=\s|$)", rest)[0].strip() for _, rest in found]


def arguments(line: str) -> list[str]:
    """The words; what stands for something else gets a value that will do."""
    line = re.sub(r"<[^<>]+>|\"\$\([^)]*\)\"|\{[^{}]*\}", "http://localhost:7071", line)
    return shlex.split(re.split(r"[\"']|\. |\.$|: | = |\)", line)[0])


TEXTS = texts()
CASES = sorted({(name, line) for name, text in TEXTS.items() for line in command_lines(text)})


def test_documents_tell_of_every_command() -> None:
    named = {words[0] for _, line in CASES if (words := arguments(line)) and not words[0].startswith("-")}
    assert {command.name for command in load()} - {"predown"} <= named


@pytest.mark.parametrize(("place", "line"), [case for case in CASES if len(arguments(case[1])) > 1])
def test_command_is_one_that_the_tool_takes(place: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        PARSER.parse_args(arguments(line))
    except SystemExit:
        pytest.fail(f"{place}: python -m ops {line}\n{capsys.readouterr().err}")


def test_command_that_is_named_alone_exists() -> None:
    named = {words[0] for place, line in CASES if len(words := arguments(line)) == 1 and place != "ops/__main__.py"}
    assert named <= {command.name for command in load()}


@pytest.mark.parametrize(("place", "text"), TEXTS.items(), ids=TEXTS)
def test_variable_that_somebody_is_told_to_set_is_one_that_something_reads(place: str, text: str) -> None:
    inputs = {item.name for item in vars(environment).values() if isinstance(item, Input)}
    known = {variable for variable, _ in variables().values()} | inputs | CHOSEN_BY_AZD
    assert set(re.findall(r"azd env set ([A-Z_]+)", text)) <= known, place


def strings(file: Path) -> list[str]:
    """What a program may say: its strings, those of several lines joined, without docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told | parts:
            found.append(node.value)
    return found


def remedies(command: str) -> list[tuple[str, str]]:
    """Each string of `ops`, and each line of the document about faults, that names the command."""
    lines = [("troubleshooting.md", line) for line in TEXTS["docs/troubleshooting.md"].splitlines()]
    naming = [
        file for file in python_files(REPOSITORY / "ops") if command.rsplit(maxsplit=1)[-1] in file.read_text("utf-8")
    ]
    told = lines + [(file.name, text) for file in naming for text in strings(file)]
    return [(place, text) for place, text in told if command in text]


@pytest.mark.parametrize(("place", "text"), remedies("azd provision"))
def test_provision_that_is_to_repair_something_does_not_compare_the_template_first(place: str, text: str) -> None:
    """azd skips a template and parameters that it deployed before; a variable that was set is a change of them."""
    before, _, after = text.partition("azd provision")
    changes = "azd env set" in before or before.endswith("azd knows them after `")
    assert after.startswith(" --no-state") or changes, place


@pytest.mark.parametrize(("place", "text"), remedies("az keyvault recover"))
def test_vault_is_recovered_into_a_group_that_was_created_first(place: str, text: str) -> None:
    assert "az group create --name" in text.partition("az keyvault recover")[0], place


def test_hooks_that_somebody_is_told_to_run_are_there() -> None:
    hooks = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))["hooks"]
    named = {name for text in TEXTS.values() for name in re.findall(r"azd hooks run (\w+)", text)}
    assert named
    assert named <= set(hooks)


def test_programs_that_import_the_engine_are_run_where_it_is_found() -> None:
    parts = [part for file in DOCUMENTS for part in re.split(r"\n```\w*\n|\n\n", file.read_text("utf-8"))]
    named = [part for part in parts if re.search(r"python -m (bench|tests\.engine)\b", part)]
    assert named
    assert [part for part in named if "PYTHONPATH" not in part] == []


def test_targets_of_make_that_somebody_is_told_to_run_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    spans = [span for text in TEXTS.values() for span in re.findall(r"`([^`\n]+)`|^([^`#|\n]+)$", text, re.MULTILINE)]
    named = {name for pair in spans for one in pair for name in re.findall(r"^\s*make ([a-z-]+)\b", one)}
    assert {"run", "test", "check"} <= named
    assert named <= targets
