"""Forks of a process that has made the imports of what tests start again and again."""

from __future__ import annotations

import multiprocessing
import os
from functools import cache
from multiprocessing import forkserver
from typing import TYPE_CHECKING
from unittest.mock import patch

from local.config import REPOSITORY

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

PROGRAMS = ("local.entra", "local.host", "local.vault")
"""Packages whose start is little more than their imports."""

CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()


@cache
def forks() -> ForkServerContext:
    """What starts them. A process has one fork server, whose imports are settled with its start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["__main__", "tests.support.ops_process", *(f"{each}.__main__" for each in PROGRAMS)]
    )
    # The fork server of Python 3.13.0 does not get this process's path, and would then load nothing in advance.
    with patch.dict(os.environ, PYTHONPATH=f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'src'}"):
        forkserver.ensure_running()
    return context
