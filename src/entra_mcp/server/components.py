"""Finds the tools, resources and prompts of an app: a module in one of its packages is all that it takes to add one."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

from fastmcp.decorators import get_fastmcp_meta
from fastmcp.prompts.function_prompt import PromptMeta
from fastmcp.resources.function_resource import ResourceMeta
from fastmcp.tools.function_tool import ToolMeta
from fastmcp.utilities.tasks import TaskConfig
from mcp.shared.inbound import find_invalid_x_mcp_header

from entra_mcp.downstream import OnBehalf
from entra_mcp.errors import ComponentsError
from entra_mcp.toolkit.services import ServiceDependency

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from types import ModuleType

    from fastmcp import FastMCP

    Component = Callable[..., Any]


def find_components(packages: Collection[ModuleType]) -> list[Component]:
    """The decorated functions of every module in the packages, by the name of their module.

    A module whose name begins with an underscore is for the others to import.

    Raises:
        ComponentsError: a module or a folder cannot be imported, or a module holds none; all are named at once.
    """
    found: list[Component] = []
    faults: list[str] = []

    def not_imported(name: str) -> None:
        error = sys.exception()
        faults.append(f"{name} cannot be imported: {type(error).__name__}: {error}")

    for name in sorted(_modules(packages, not_imported)):
        try:
            module = import_module(name)
        except Exception:  # noqa: BLE001 - whatever an app's module raises is a fault of that module
            not_imported(name)
            continue
        own = [each for each in vars(module).values() if _is_component(each) and each.__module__ == name]
        if not own:
            faults.append(f"{name} holds no tool, resource or prompt: decorate a function, or rename the file to _*.py")
        found += own
    faults += _folders_left_out(packages)
    if faults:
        raise ComponentsError(faults)
    return found


def add_components(
    server: FastMCP, components: Iterable[Component], *, signs_in: bool, services: Iterable[object]
) -> None:
    """Adds them to the server, without the tools that cannot work there.

    Tools that act on the caller's behalf need a server at which people sign in; others need an optional service.

    Raises:
        ComponentsError: something is no component, two have one name, or a tool's `x-mcp-header` is invalid, so that
            clients leave it out.
    """
    opened = {type(each) for each in services}
    functions: dict[str, str] = {}
    for each in components:
        match get_fastmcp_meta(each):
            case ToolMeta():
                if not ((signs_in or not acts_on_behalf(each)) and optional_services(each) <= opened):
                    continue
                added = server.add_tool(each)
                if fault := find_invalid_x_mcp_header(added.parameters):
                    raise ComponentsError([f"the tool {added.name}: {fault}"])
            case ResourceMeta():
                added = server.add_resource(each)  # pyright: ignore[reportArgumentType] - takes decorated functions too
            case PromptMeta():
                added = server.add_prompt(each)
            case _:
                raise ComponentsError([f"{each.__module__}.{each.__name__} is no tool, resource or prompt"])
        # FastMCP would let the later one take the place of the other, which may be for some people only.
        name = f"{each.__module__}.{each.__name__}"
        if added.key in functions:
            raise ComponentsError([f"{functions[added.key]} and {name} are both {added.key.rstrip('@')}: rename one"])
        functions[added.key] = name


def declares_tasks(components: Iterable[Component]) -> bool:
    """Whether one of them is a tool that may run as a background task."""
    declared = (meta.task for meta in map(get_fastmcp_meta, components) if isinstance(meta, ToolMeta))
    return any(task.supports_tasks() if isinstance(task, TaskConfig) else task for task in declared)


def has_interfaces(components: Iterable[Component]) -> bool:
    """Whether one of them is a user interface for clients that can show it (MCP Apps, SEP-1865)."""
    metas = map(get_fastmcp_meta, components)
    return any(isinstance(meta, ResourceMeta) and meta.uri.startswith("ui://") for meta in metas)


async def task_tools(server: FastMCP) -> frozenset[str]:
    """The names of the server's own tools that may run as background tasks."""
    return frozenset(
        tool.name for tool in await server.local_provider.list_tools() if tool.task_config.supports_tasks()
    )


def acts_on_behalf(function: Component) -> bool:
    """Whether a parameter of the function needs the caller's token for another API."""
    return any(isinstance(each.default, OnBehalf) for each in inspect.signature(function).parameters.values())


def optional_services(function: Component) -> set[type]:
    """The services without which the function is not offered."""
    defaults = [each.default for each in inspect.signature(function).parameters.values()]
    return {each.kind for each in defaults if isinstance(each, ServiceDependency) and each.optional}


def _modules(packages: Iterable[ModuleType], not_imported: Callable[[str], None]) -> Iterator[str]:
    for package in packages:
        for module in walk_packages(package.__path__, f"{package.__name__}.", not_imported):
            if not module.ispkg and not module.name.rpartition(".")[2].startswith("_"):
                yield module.name


def _folders_left_out(packages: Collection[ModuleType]) -> list[str]:
    """A folder without `__init__.py` is no package, so nobody would look into it."""
    folders = {
        file.parent.relative_to(root)
        for package in packages
        for root in map(Path, package.__path__)
        for file in root.rglob("*.py")
        if not (file.parent / "__init__.py").exists()
    }
    return [f"the folder {each} has no __init__.py" for each in sorted(folders) if not str(each).startswith("_")]


def _is_component(value: object) -> bool:
    return inspect.isfunction(value) and get_fastmcp_meta(value) is not None
