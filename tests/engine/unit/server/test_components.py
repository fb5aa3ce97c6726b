"""What is found in an app's packages, and how faulty modules are reported."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from fastmcp import Client
from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.server.providers import LocalProvider

from entra_mcp.definition import Server
from entra_mcp.errors import ComponentsError
from entra_mcp.server.components import find_components
from tests.support.instances import ALICE, instance, served
from tests.support.mcp import SESSIONLESS, request, result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from entra_mcp.settings import Settings

TOOL = """
from fastmcp.tools import tool

@tool
async def {name}() -> str:
    "Say something."
    return "{name}"
"""
HEADER = """
from enum import StrEnum
from typing import Annotated
from fastmcp.tools import tool
from pydantic import Field

class Region(StrEnum):
    NORTH = "north"

@tool
async def ship(region: Annotated[{kind}, Field(json_schema_extra={{"x-mcp-header": "Region"}})]) -> str:
    "Ship to a region."
    return "shipped"
"""
RESOURCE = """
from fastmcp.resources import resource

@resource("{scheme}://orders/chart")
def chart() -> str:
    "Draw the orders."
    return "<svg/>"
"""
GRAPH = """
from fastmcp.tools import tool
from entra_mcp.downstream import Graph, GraphClient

@tool
async def profile(graph: GraphClient = Graph("User.Read")) -> str:
    "Read something."
    return str(await graph.get("/me"))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Writes a package of the given modules, and imports it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(**modules: str) -> ModuleType:
        folder = tmp_path / "fork_of_a_test"
        folder.mkdir()
        for name, source in {"__init__": "", **modules}.items():
            (folder / f"{name}.py").write_text(source)
        return import_module("fork_of_a_test")

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "fork_of_a_test"]:
        del sys.modules[name]


def names(package: ModuleType) -> list[str]:
    return [each.__name__ for each in find_components([package])]


def test_module_in_a_package_is_all_that_it_takes(package: Callable[..., ModuleType]) -> None:
    found = package(second=TOOL.format(name="b"), first=TOOL.format(name="c") + TOOL.format(name="a"))
    assert names(found) == ["c", "a", "b"]


def test_tool_that_another_module_imports_is_found_once(package: Callable[..., ModuleType]) -> None:
    again = "from fork_of_a_test.first import a" + TOOL.format(name="b")
    assert names(package(first=TOOL.format(name="a"), second=again)) == ["a", "b"]


def test_module_with_an_underscore_is_for_the_others(package: Callable[..., ModuleType]) -> None:
    assert names(package(_shared="raise ValueError", first=TOOL.format(name="a"))) == ["a"]


def test_faulty_modules_are_all_named_at_once(package: Callable[..., ModuleType]) -> None:
    found = package(empty="x = 1", broken="import nonesuch", syntax="def", good=TOOL.format(name="a"))
    with pytest.raises(ComponentsError) as caught:
        find_components([found])
    assert [fault.split()[0] for fault in caught.value.faults] == [
        f"fork_of_a_test.{name}" for name in ("broken", "empty", "syntax")
    ]
    assert "ModuleNotFoundError: No module named 'nonesuch'" in str(caught.value)
    assert "holds no tool, resource or prompt" in str(caught.value)


def test_folder_that_would_be_left_out_is_a_fault(package: Callable[..., ModuleType], tmp_path: Path) -> None:
    found = package(good=TOOL.format(name="a"))
    for name in ("broken", "plain", "_notes"):
        (tmp_path / "fork_of_a_test" / name).mkdir()
        (tmp_path / "fork_of_a_test" / name / "more.py").write_text(TOOL.format(name="b"))
    (tmp_path / "fork_of_a_test" / "broken" / "__init__.py").write_text("import nonesuch")
    with pytest.raises(ComponentsError) as caught:
        find_components([found])
    assert list(caught.value.faults) == [
        "fork_of_a_test.broken cannot be imported: ModuleNotFoundError: No module named 'nonesuch'",
        "the folder plain has no __init__.py",
    ]


async def test_two_of_one_name_are_a_fault(
    package: Callable[..., ModuleType], load_settings: Callable[..., Settings]
) -> None:
    again = package(first=TOOL.format(name="a"), second=TOOL.format(name="a"))
    definition = Server(name="Fork", instructions="", components=[again])
    with pytest.raises(ComponentsError, match=r"first\.a and fork_of_a_test\.second\.a are both tool:a: rename one"):
        async with served(load_settings(), definition=definition):
            pass


@pytest.mark.parametrize("kind", ["str | None", "float", "Region"])
async def test_header_that_clients_would_not_take_is_a_fault(
    package: Callable[..., ModuleType], load_settings: Callable[..., Settings], kind: str
) -> None:
    tool = HEADER.format(kind=kind)
    definition = Server(name="Fork", instructions="", components=[package(first=tool)])
    with pytest.raises(ComponentsError, match="the tool ship: property 'region': x-mcp-header is only permitted on"):
        async with served(load_settings(), definition=definition):
            pass


@pytest.mark.parametrize(("mode", "offered"), [("proxy", {"a", "profile"}), ("verify", {"a"})])
async def test_tool_on_behalf_of_the_caller_needs_a_sign_in_here(
    package: Callable[..., ModuleType], load_settings: Callable[..., Settings], mode: str, offered: set[str]
) -> None:
    definition = Server(name="Fork", instructions="", components=[package(first=TOOL.format(name="a"), graph=GRAPH)])
    async with served(load_settings(AUTH_MODE=mode), definition=definition) as server, Client(server) as client:
        assert {tool.name for tool in await client.list_tools()} == offered


@pytest.mark.parametrize(
    ("scheme", "providers", "offered"), [("ui", [], True), ("report", [], False), ("report", [LocalProvider()], True)]
)
async def test_user_interfaces_are_offered_where_there_are_some_or_may_be(
    package: Callable[..., ModuleType],
    load_settings: Callable[..., Settings],
    scheme: str,
    providers: list[LocalProvider],
    offered: bool,
) -> None:
    found = package(first=RESOURCE.format(scheme=scheme))
    definition = Server(name="Fork", instructions="", components=[found], providers=providers)
    async with instance(load_settings(), definition=definition) as http:
        asked = request("server/discover", protocol=SESSIONLESS, token=ALICE)
        capabilities = result(await http.post("/mcp", **asked))["capabilities"]
    assert (UI_EXTENSION_ID in capabilities.get("extensions", {})) is offered


async def test_server_without_components_offers_nothing(load_settings: Callable[..., Settings]) -> None:
    empty = Server(name="Fork", instructions="Nothing here yet.")
    async with served(load_settings(), definition=empty) as server, Client(server) as client:
        assert await client.list_tools() == []
        assert await client.list_prompts() == []
