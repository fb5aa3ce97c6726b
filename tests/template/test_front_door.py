"""What a visitor, a template gallery and a coding assistant look for is there, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastmcp.server.auth import middleware as bearer_auth

from ops.server_errors import SERVER_ERRORS
from tests.template.error_pages import FOLDER, pages
from tests.template.pictures import DARK, LIGHT, PICTURES, architecture

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text("utf-8")


@pytest.mark.parametrize(
    "heading", ["Features", "Getting Started", "Guidance", "Resources", "Important Security Notice", "Add a tool"]
)
def test_readme_has_the_headings_that_galleries_ask_for(heading: str) -> None:
    assert f"\n## {heading}\n" in README


@pytest.mark.parametrize(
    "file",
    [
        "azure.yaml",
        "infra/main.bicep",
        ".devcontainer/devcontainer.json",
        ".github/workflows/azure-dev.yml",
        ".github/ISSUE_TEMPLATE.md",
        ".github/PULL_REQUEST_TEMPLATE.md",
        ".github/CODEOWNERS",
        "AGENTS.md",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "SECURITY.md",
        "llms.txt",
    ],
)
def test_file_that_galleries_ask_for_is_there(file: str) -> None:
    assert (ROOT / file).stat().st_size > 0


def test_first_screen_has_a_picture_the_commands_the_price_and_the_ways_to_begin() -> None:
    first = "\n".join(README.splitlines()[:30])
    for needed in (
        "architecture.svg",
        "codespaces/new",
        "generate)",
        "git clone",
        "make run",
        "azd up",
        "$0.10 a month",
    ):
        assert needed in first


def test_badges_say_what_is_so() -> None:
    python = (ROOT / ".python-version").read_text("utf-8").strip()
    fastmcp = re.search(r"fastmcp==(\d+\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert fastmcp
    assert f"badge/Python-{python}-" in README
    assert f"badge/FastMCP-{fastmcp[1]}-" in README
    assert "badge/license-MIT-" in README
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
    for workflow in re.findall(r"actions/workflows/([\w-]+\.yml)", README):
        assert (ROOT / ".github" / "workflows" / workflow).is_file()


def test_costs_of_the_readme_are_those_of_the_guide() -> None:
    idle = re.search(r"\*\*below (\$[\d.]+)\*\*", DEPLOY)
    busy = re.search(r"a million calls cost between (\d+) cents and \$(\d+)", DEPLOY)
    assert idle
    assert busy
    assert README.count(f"below {idle[1]} a month while nobody uses it") == README.count(" a month") == 2
    assert f"from $0.{busy[1]} to ${busy[2]} for a million calls" in " ".join(README.split())


def test_every_document_is_in_the_list_for_language_models_and_on_the_site() -> None:
    documents = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    documents = {name for name in documents if not re.match(r"errors/(?!README)", name)}
    listed = re.findall(r"\]\((?:docs/)?([\w/.-]+)\)", (ROOT / "llms.txt").read_text("utf-8"))
    assert documents <= set(listed)
    assert [name for name in listed if not ((ROOT / "docs" / name).is_file() or (ROOT / name).is_file())] == []
    site = re.findall(r"^ +- (?:Start: )?([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert documents <= set(site)


def test_page_of_every_error_code_is_what_the_tables_say() -> None:
    written = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*.md")}
    assert written == pages(), "python -m tests.template.error_pages writes them"


def test_codes_of_this_server_that_have_a_page_are_those_that_it_answers_with() -> None:
    """In the engine, or in FastMCP's check of bearer tokens."""
    bearer = Path(bearer_auth.__file__)
    source = "".join(file.read_text("utf-8") for file in [bearer, *(ROOT / "src" / "entra_mcp").rglob("*.py")])
    assert [code for code in SERVER_ERRORS if f'"{code}"' not in source] == []
    answered = re.findall(r'\b(?:refusal|RefusedRequestError)\(\s*(?:(?:\d+|HTTPStatus\.\w+),\s*)?"(\w+)"', source)
    assert {*answered, *re.findall(r'"error": "(\w+)"', source)} <= SERVER_ERRORS.keys()


def test_picture_of_the_architecture_is_what_its_source_draws() -> None:
    assert (PICTURES / "architecture.svg").read_text("utf-8") == architecture(LIGHT)
    assert (PICTURES / "architecture-dark.svg").read_text("utf-8") == architecture(DARK)


def test_terminal_of_the_readme_shows_a_run_that_went_well() -> None:
    shown = (PICTURES / "run.svg").read_text("utf-8")
    assert "make run CHECK=1" in shown
    assert "registration" in shown
    assert "All of it worked" in shown
    assert "FAILED" not in shown
