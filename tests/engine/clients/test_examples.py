"""The programs that docs/clients.md shows sign in with the system's browser, and call a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.compatibility.document import EXAMPLES, URL
from tests.support.headless_browser import run
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stack import Stack


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_program_signs_in_and_calls_a_tool(stack: Stack, tmp_path: Path, example: Path) -> None:
    (port,) = free_ports(1)
    text = example.read_text("utf-8").replace(URL, stack.mcp_url).replace("8765", str(port))
    program = tmp_path / example.name
    program.write_text(text, "utf-8")
    outcome = run(str(program))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "'username': 'user@local.example'" in outcome.stdout
