"""No test depends on how fast this machine is: none compares a clock, and what has to end in time has plenty of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from tests.support.sources import python_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILES = python_files(REPOSITORY / "tests")
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time"}
MIN_SECONDS = 10.0
"""What takes moments on an idle machine may take so long on a busy one. `Patience` counts silence, and may be short."""


def is_clock(node: ast.AST) -> bool:
    """Whether the node reads a clock that has no date; those with one are compared with dates."""
    if not isinstance(node, ast.Call):
        return False
    if not isinstance(node.func, ast.Attribute):
        return isinstance(node.func, ast.Name) and node.func.id.removesuffix("_ns") in CLOCKS
    of_a_loop = node.func.attr == "time" and not isinstance(node.func.value, ast.Name)
    return of_a_loop or node.func.attr.removesuffix("_ns") in CLOCKS


def names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def holders(tree: ast.AST) -> set[str]:
    """The names of what was read from a clock: variables, and lists that it was put into."""
    found: set[str] = set()
    while True:
        before = len(found)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                targets = [target for target in node.targets if not isinstance(target, ast.Attribute)]
                value = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
                targets, value = [node.func.value], node.args[0]
            else:
                continue
            if any(map(is_clock, ast.walk(value))) or names(value) & found:
                found |= {name for target in targets for name in names(target)}
        if len(found) == before:
            return found


def comparisons(function: ast.AST) -> Iterator[int]:
    """The lines whose assertion compares what a clock said."""
    held = holders(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            compared = [each for each in ast.walk(node.test) if isinstance(each, ast.Compare)]
            if any(names(each) & held or any(map(is_clock, ast.walk(each))) for each in compared):
                yield node.lineno


def constants(tree: ast.Module) -> dict[str, ast.expr]:
    """What the names of the module stand for."""
    assigned = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)]
    return {target.id: node.value for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def short_waits(node: ast.AST, known: Mapping[str, ast.expr]) -> Iterator[int]:
    """The lines that give something a few seconds at most to end well."""
    if isinstance(node, ast.With | ast.AsyncWith) and any("raises" in ast.unparse(item) for item in node.items):
        return
    if isinstance(node, ast.Try) and any("TimeoutError" in ast.unparse(each.type or node) for each in node.handlers):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"asyncio.timeout", "asyncio.wait_for"}:
        seconds = [*node.args, *(keyword.value for keyword in node.keywords)][-1]
        seconds = known.get(seconds.id, seconds) if isinstance(seconds, ast.Name) else seconds
        value = seconds.value if isinstance(seconds, ast.Constant) else None
        if isinstance(value, int | float) and value < MIN_SECONDS:
            yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from short_waits(child, known)


def found_in(text: str) -> list[int]:
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted(
        {*short_waits(tree, constants(tree)), *(line for function in functions for line in comparisons(function))}
    )


@pytest.mark.parametrize(
    "body",
    [
        "assert time.monotonic() - began < 2",
        "began = time.perf_counter()\n    took = time.perf_counter() - began\n    assert took < 2",
        "seen.append(time.monotonic_ns())\n    assert max(seen) < 5",
        "assert asyncio.get_running_loop().time() < 5",
        "await asyncio.wait_for(event.wait(), 5)",
        "async with asyncio.timeout(0.5):\n        await event.wait()",
        "await asyncio.wait_for(event.wait(), timeout=2)",
        "async with asyncio.timeout(SHORT):\n        await event.wait()",
        "began = monotonic()\n    assert monotonic() - began < 2",
    ],
)
def test_assertion_about_a_clock_is_found(body: str) -> None:
    assert found_in(f"SHORT = 0.5\nasync def test() -> None:\n    {body}\n")


@pytest.mark.parametrize(
    "body",
    [
        "while time.monotonic() < deadline:\n        pass\n    assert done",
        "assert claims['exp'] > time.time() + 3600",
        "await asyncio.wait_for(event.wait(), 60)",
        "try:\n        await asyncio.wait_for(event.wait(), 1)\n    except TimeoutError:\n        quiet = True",
        "with pytest.raises(TimeoutError):\n        await asyncio.wait_for(event.wait(), 0.1)",
    ],
)
def test_bound_of_a_wait_and_date_are_none(body: str) -> None:
    assert found_in(f"async def test() -> None:\n    {body}\n") == []


def test_no_test_depends_on_the_speed_of_this_machine() -> None:
    found = {file.relative_to(REPOSITORY).as_posix(): found_in(file.read_text("utf-8")) for file in FILES}
    assert {name: lines for name, lines in found.items() if lines} == {}
