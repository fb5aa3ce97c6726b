"""`tool`: creates a tool that works, with its test."""

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

MAX_NAME = 43
"""With more, lines of what is created would be longer than the linter allows."""

TOOLS, TESTS = "src/app/tools", "tests/app"

MODULE = '''\
"""Says something to the caller."""

from __future__ import annotations

from typing import Annotated

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import Field

from entra_mcp.toolkit import Caller, CurrentCaller, glyph


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

from tests.support.instances import call
from tests.support.mcp import refusal, structured

if TYPE_CHECKING:
    from tests.support.instances import SignedIn


async def test_{name}_names_the_caller(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        answer = await call(http, "{name}", text="Hello")
    assert structured(answer) == {{"result": "Hello, Alice!"}}


@pytest.mark.parametrize("text", ["", "x" * 201])
async def test_{name}_refuses_other_texts(signed_in: SignedIn, text: str) -> None:
    async with signed_in() as http:
        assert "validation error" in refusal(await call(http, "{name}", text=text))
'''


class NewToolError(Exception):
    """The tool cannot be created; the message says why."""


def new_tool(root: Path, name: str) -> int:
    """Create the tool in the checkout at `root`; the exit code."""
    try:
        created = create_tool(root, name)
    except NewToolError as fault:
        sys.stderr.write(f"{fault}\n")
        return USAGE
    for file in created:
        say(f"  {file.relative_to(root).as_posix()}")
    test = created[1].relative_to(root).as_posix()
    say(f"Created the tool {name}. Test it: make test ARGS={test}, or python -m local test {test}")
    return OK


def create_tool(root: Path, name: str) -> tuple[Path, Path]:
    """Write module and test; both files. Raises NewToolError before it writes anything."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > MAX_NAME:
        raise NewToolError(
            f"{name!r} is no name for a tool: write small letters, digits and single underscores, "
            f"{MAX_NAME} characters at most."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise NewToolError(f"{name} means something in Python already; choose another name.")
    module, test = root / TOOLS / f"{name}.py", root / TESTS / f"test_{name}.py"
    for file in (module, test):
        if file.exists():
            raise NewToolError(f"{file.relative_to(root).as_posix()} is there already; choose another name.")
    module.write_text(MODULE.format(name=name), "utf-8")
    test.write_text(TEST.format(name=name), "utf-8")
    return module, test
