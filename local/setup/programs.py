"""Finds programs that somebody else installs, and installs packages from npm that only one command needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from local.progress import CommandError, run_visibly, say

if TYPE_CHECKING:
    from pathlib import Path

INSTALLED = "node_modules/.installed"
"""Keeps the package-lock.json that the installation is of."""

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


def install_packages(folder: Path, *, what: str, log: Path) -> None:
    """Install what package-lock.json in `folder` says, unless it is installed; CommandError when npm cannot."""
    lock, installed = (folder / "package-lock.json").read_text("utf-8"), folder / INSTALLED
    if installed.is_file() and installed.read_text("utf-8") == lock:
        return
    npm = find_program("npm", hint=f"It installs {what}.")
    say(f"Installing {what} from npm")
    installed.unlink(missing_ok=True)
    # Not `npm ci`: it refuses a lock without the programs of platforms that the registry it was written with lacks.
    command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder)]
    run_visibly(command, log=log, hint=REGISTRY_HINT)
    installed.write_text(lock, "utf-8")
