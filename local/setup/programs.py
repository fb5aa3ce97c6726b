"""Finds programs that somebody else installs."""

from __future__ import annotations

import re
import shutil
import subprocess

from local.progress import CommandError

REGISTRY_HINT = "Check the network (or npm's registry, cafile and proxy settings) and run the command again."


def find_node(program: str, *, minimum: int, hint: str) -> str:
    """The path of that Node; CommandError, with `hint` as what to do, when it is missing or older than `minimum`."""
    found = find_program(program, hint=hint)
    answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", answer.stdout)
    if version is None or int(version[1]) < minimum:
        raise CommandError(f"{found} is Node {answer.stdout.strip() or 'of an unknown version'}. {hint}")
    return found


def find_program(name: str, *, hint: str) -> str:
    """The path of a program; CommandError, with `hint` as what to do, when there is none."""
    found = shutil.which(name)
    if found is None:
        raise CommandError(f"{name} is not on PATH. {hint}")
    return found
