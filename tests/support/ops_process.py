"""Runs a command of `ops` in a process of its own, which a test can kill."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ops.cli import run
from ops.commands import load
from tests.support.azure import FakeCredential

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


LOADED = load()
"""What the fork server has in memory before it forks."""


def run_in_process(arguments: Sequence[str], variables: Mapping[str, str], root: str) -> None:
    """Ends the process with the command's exit code."""
    sys.exit(
        run(
            arguments,
            variables=variables,
            credential=FakeCredential,
            out=io.StringIO(),
            sleep=lambda _seconds: None,
            root=Path(root),
        )
    )
