"""`tool`: creates a tool that works, with its test."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import TYPE_CHECKING

from local.exit_codes import OK
from local.progress import CommandError, say

if TYPE_CHECKING:
    from pathlib import Path

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


def new_tool(root: Path, name: str) -> int:
    """Create the tool in the checkout at `root`; the exit code. Raises CommandError before it writes anything."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > MAX_NAME:
        raise CommandError(
            f"{name!r} is no name for a tool: write small letters, digits and single underscores, "
            f"{MAX_NAME} characters at most."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise CommandError(f"{name} means something in Python already; choose another name.")
    module, test = f"{TOOLS}/{name}.py", f"{TESTS}/test_{name}.py"
    for file in (module, test):
        if (root / file).exists():
            raise CommandError(f"{file} is there already; choose another name.")
    for file, text in ((module, MODULE), (test, TEST)):
        (root / file).write_text(text.format(name=name), "utf-8")
        say(f"  {file}")
    say(f"Created the tool {name}. Test it: make test ARGS={test}, or python -m local test {test}")
    return OK
