"""`conformance`: runs the conformance suite of the Model Context Protocol, which needs a newer Node than the rest."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from local.progress import SetupError, say
from local.tasks import CONFORMANCE, FAILED, OK, call

if TYPE_CHECKING:
    from pathlib import Path

MINIMUM_NODE = 22
SUITE = "@modelcontextprotocol/conformance"


def conformance(root: Path, *, node: str | None) -> int:
    """Run it with that Node, or the one on PATH; the exit code. SetupError says what is missing."""
    program = node_for_the_suite(node)
    folder = root / CONFORMANCE
    if installed(folder) != pinned(folder):
        npm = shutil.which("npm")
        if npm is None:
            raise SetupError("npm is not on PATH; the conformance suite is installed with it.")
        say(f"Installing {SUITE} {pinned(folder)}")
        if call([npm, "ci", "--no-audit", "--no-fund", "--prefix", str(folder)], root, {}):
            raise SetupError("npm could not install the suite. Check the network, npm's registry and proxy settings.")
    results = root / ".local" / "conformance"
    command = [sys.executable, "-m", "tests.engine.conformance", "--node", program, "--results", str(results)]
    return OK if call(command, root, {}) == 0 else FAILED


def node_for_the_suite(node: str | None) -> str:
    """The path of a Node that is new enough; raises SetupError."""
    program = shutil.which(node or "node")
    hint = f"The conformance suite needs Node {MINIMUM_NODE} or newer: --node PATH, or make conformance NODE=PATH."
    if program is None:
        raise SetupError(f"{node or 'node'} is not there. {hint}")
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", answer.stdout)
    if found is None or int(found[1]) < MINIMUM_NODE:
        raise SetupError(f"{program} is Node {answer.stdout.strip() or 'of an unknown version'}. {hint}")
    return program


def pinned(folder: Path) -> str:
    """The version of the suite in package.json."""
    return json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"][SUITE]


def installed(folder: Path) -> str | None:
    """The version of the suite in node_modules, or None."""
    try:
        return json.loads((folder / "node_modules" / SUITE / "package.json").read_text("utf-8"))["version"]
    except OSError:
        return None
