"""Who may import whom: the engine knows no app, and an app knows only what the engine offers it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"

OFFERED = {"entra_mcp.definition", "entra_mcp.downstream", "entra_mcp.settings", "entra_mcp.toolkit"}
"""The engine's public modules; a change to one of them that breaks an app is a new major version."""

PLATFORM = {"azure", "starlette", "uvicorn"}
"""What tools, resources and prompts leave to the engine and to services."""


def imports(file: Path) -> set[str]:
    """The modules that a file imports anywhere, also in functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
            case ast.ImportFrom(level=level) if level:
                found.add("." * level)
            case _:
                pass
    return found


def of(package: str, imported: set[str]) -> set[str]:
    return {name for name in imported if name.partition(".")[0] == package}


def files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (SOURCE / folder).rglob("*.py"))


@pytest.mark.parametrize("file", files("entra_mcp"), ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_engine_imports_no_app(file: Path) -> None:
    assert not of("app", imports(file)) | of("tests", imports(file)) | of("local", imports(file))


@pytest.mark.parametrize("file", files("app"), ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_app_imports_what_the_engine_offers_alone(file: Path) -> None:
    assert of("entra_mcp", imports(file)) <= OFFERED


@pytest.mark.parametrize(
    "file", files("app/tools", "app/resources", "app/prompts"), ids=lambda file: file.relative_to(SOURCE).as_posix()
)
def test_tools_leave_the_platform_to_the_engine(file: Path) -> None:
    assert not {name for name in imports(file) if name.partition(".")[0] in PLATFORM}
