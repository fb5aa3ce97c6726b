"""`tool`: makes a tool that works, with its test, and registers it."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from typing import TYPE_CHECKING

from local.progress import say

if TYPE_CHECKING:
    from pathlib import Path

OK, USAGE = 0, 2

LONGEST_NAME = 43
"""With more, lines of what is made would be longer than the linter lets them be."""

TOOLS = "src/entra_mcp/tools"
TESTS = "tests/engine/unit/tools"

MODULE = '''\
"""Says something to the caller."""

from __future__ import annotations

from typing import Annotated

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import Field

from entra_mcp.icon import glyph
from entra_mcp.toolkit.caller import Caller, CurrentCaller


@tool(
    icons=[glyph("M4 4h16v12H9l-5 5z")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def {name}(
    text: Annotated[str, Field(min_length=1, max_length=200, description="What to say.")],
    caller: Caller = CurrentCaller(),
) -> str:
    """Say something to the person who is signed in."""
    return f"{{text}}, {{caller.name}}!"
'''

TEST = '''\
"""The tool `{name}`, called over HTTP as a client calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.instances import call, instance
from tests.support.mcp import refusal, structured

if TYPE_CHECKING:
    from entra_mcp.settings import Settings


async def test_{name}_names_the_caller(settings: Settings) -> None:
    async with instance(settings) as http:
        answer = await call(http, "{name}", text="Hello")
    assert structured(answer) == {{"result": "Hello, Alice!"}}


@pytest.mark.parametrize("text", ["", "x" * 201])
async def test_{name}_refuses_other_texts(settings: Settings, text: str) -> None:
    async with instance(settings) as http:
        assert "validation error" in refusal(await call(http, "{name}", text=text))
'''

_IMPORT = re.compile(r"^from entra_mcp\.tools\.\w+ import \w+\n", re.MULTILINE)
_LIST = re.compile(r"^TOOLS = \(([\w\s,]*)\)$", re.MULTILINE)
_BEFORE_IMPORTS = "if TYPE_CHECKING:\n"


class NewToolError(Exception):
    """The tool cannot be made; the message says why."""


def new_tool(root: Path, name: str) -> int:
    """Make the tool in the checkout at `root`; the exit code."""
    try:
        made = make_tool(root, name)
    except NewToolError as fault:
        sys.stderr.write(f"{fault}\n")
        return USAGE
    for file in made:
        say(f"  {file.relative_to(root).as_posix()}")
    test = made[1].relative_to(root).as_posix()
    say(f"The tool {name} is there. Test it: make test ARGS={test}, or python -m local test {test}")
    return OK


def make_tool(root: Path, name: str) -> tuple[Path, Path, Path]:
    """Write module and test and register the tool; the three files. Raises NewToolError before it writes anything."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > LONGEST_NAME:
        raise NewToolError(
            f"{name!r} is no name for a tool: write small letters, digits and single underscores, "
            f"{LONGEST_NAME} characters at most."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise NewToolError(f"{name} means something in Python already; choose another name.")
    module, test, registry = root / TOOLS / f"{name}.py", root / TESTS / f"test_{name}.py", root / TOOLS / "__init__.py"
    for file in (module, test):
        if file.exists():
            raise NewToolError(f"{file.relative_to(root).as_posix()} is there already; choose another name.")
    registered = registered_with(registry.read_text("utf-8"), name)
    module.write_text(MODULE.format(name=name), "utf-8")
    test.write_text(TEST.format(name=name), "utf-8")
    registry.write_text(registered, "utf-8")
    return module, test, registry


def registered_with(source: str, name: str) -> str:
    """The source of tools/__init__.py with one more tool; raises NewToolError when it has another form by now."""
    if re.search(rf"^(def|class) {name}\b", source, re.MULTILINE):
        raise NewToolError(f"{name} means something in {TOOLS}/__init__.py already; choose another name.")
    found = _LIST.search(source)
    if found is None or _BEFORE_IMPORTS not in source:
        raise NewToolError(
            f"{TOOLS}/__init__.py has no TOOLS = (...) that this command could add to. Add the tool there yourself: "
            f"from entra_mcp.tools.{name} import {name}, and {name} in what is registered."
        )
    names = sorted({*re.findall(r"\w+", found[1]), name})
    listed = "".join(f"    {each},\n" for each in names)
    source = f"{source[: found.start()]}TOOLS = (\n{listed}){source[found.end() :]}"
    line = f"from entra_mcp.tools.{name} import {name}\n"
    imports = _IMPORT.findall(source)
    following = next((each for each in imports if each > line), None)
    if following is not None:
        return source.replace(following, line + following, 1)
    if imports:
        return source.replace(imports[-1], imports[-1] + line, 1)
    return source.replace(_BEFORE_IMPORTS, f"{line}\n{_BEFORE_IMPORTS}", 1)
