"""Private names of other packages that the engine uses: docs/upgrade.md lists each of them, and no other is used.

A name that a new version of its package no longer has would be set or overridden without effect, and without an error.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import mcp.server._streamable_http_modern as modern
import pytest
from azure_functions_runtime.http_v2 import HttpCoordinator, HttpV2Registry
from fastmcp import FastMCP

import entra_mcp

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `([\w.]+\._\w+)` \| `([\w/]+)\.py` \| (.+) \| `([\w/]+\.py)` \|$", re.MULTILINE)
LISTED = {(row[1], row[2]): row for row in ROW.finditer((ROOT / "docs" / "upgrade.md").read_text("utf-8"))}
MAX_NAMES = 20

VARIABLES: dict[str, type | ModuleType] = {
    "coordinator": HttpCoordinator,
    "HttpV2Registry": HttpV2Registry,
    "server": FastMCP,
    "modern": modern,
}
"""Of what class, or which module, something is whose private attribute is used from outside."""


def modules() -> dict[str, ModuleType]:
    package = Path(entra_mcp.__file__).parent
    names = [found.name for found in pkgutil.walk_packages([str(package)], "entra_mcp.")]
    return {name.removeprefix("entra_mcp.").replace(".", "/"): importlib.import_module(name) for name in names}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def names_of(kind: type) -> set[str]:
    """Private names that a class defines, or gives its instances."""
    source = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    given = {node.attr for node in ast.walk(source) if isinstance(node, ast.Attribute) and is_self(node.value)}
    return {name for name in given | set(vars(kind)) if private(name)}


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def foreign(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in {"entra_mcp", "builtins", "typing", "abc", "enum", "logging"}


def inherited(kind: type, used: set[str]) -> set[str]:
    """What of these names comes from a class of another package."""
    bases = [base for base in kind.__mro__ if foreign(base)]
    owners = {name: next((base for base in bases if name in names_of(base)), None) for name in used}
    return {f"{owner.__name__}.{name}" for name, owner in owners.items() if owner is not None}


def used_by(module: ModuleType) -> set[str]:
    """The private names of other packages in a module."""
    tree = ast.parse(inspect.getsource(module))
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() if isinstance(kind := getattr(module, node.name, None), type):
                defined = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
                read = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
                found |= inherited(kind, {name for name in defined | read if private(name)})
            case ast.Attribute(value=ast.Name(id=variable), attr=name) if private(name) and variable in VARIABLES:
                owner = VARIABLES[variable]
                assert hasattr(owner, name) or (isinstance(owner, type) and name in names_of(owner))
                found.add(f"{owner.__name__}.{name}")
            case ast.ImportFrom(module=str(source)) if not source.startswith("entra_mcp"):
                found |= {f"{source}.{part.name}" for part in node.names if private(part.name)}
            case _:
                pass
    return found


def test_private_names_that_are_used_are_those_that_are_listed() -> None:
    used = {(name, place) for place, module in modules().items() for name in used_by(module)}
    assert used == set(LISTED)


def test_private_names_are_few() -> None:
    assert 0 < len(LISTED) <= MAX_NAMES


def test_private_attribute_of_anything_else_is_not_used() -> None:
    """Those that are used from outside of their class are found by the linter, and exempted one by one."""
    folder = Path(entra_mcp.__file__).parent
    exempted = [
        line for path in folder.rglob("*.py") for line in path.read_text("utf-8").splitlines() if "SLF001" in line
    ]
    assert len(exempted) == len(VARIABLES)


@pytest.mark.parametrize("row", LISTED.values(), ids=lambda row: row[1])
def test_private_name_has_a_test_that_fails_without_it(row: re.Match[str]) -> None:
    assert (ROOT / row[4]).is_file()
