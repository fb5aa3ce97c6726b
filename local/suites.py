"""`clients` and `conformance`: suites from npm and PyPI that run against the server, in the versions they pin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.exit_codes import FAILED, OK
from local.progress import run_visibly, say
from local.setup.programs import REGISTRY_HINT, find_node, find_program
from local.setup.uv import install_environment
from local.tasks import CLIENTS, CONFORMANCE, call

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENTS = Path(".local") / "clients"
"""Clients for Python that need other versions than this server, each in an environment of its name."""

INSTALLED = "node_modules/.installed"
"""Keeps the package-lock.json that the installation is of."""

MINIMUM_NODE = 22
NODE_HINT = f"The conformance suite needs Node {MINIMUM_NODE} or newer: --node PATH, or make conformance NODE=PATH."


def clients(root: Path, names: Sequence[str], *, record: bool, chromium: Path) -> int:
    """Install what is missing, run the clients with one of `names` in theirs, or all; the exit code."""
    _install_packages(root, CLIENTS, what="the clients (2 GB)")
    pinned = json.loads((root / CLIENTS / "package.json").read_text("utf-8"))["python"]
    for name, packages in pinned.items():
        install_environment(root, root / ENVIRONMENTS / name, [f"{package}=={at}" for package, at in packages.items()])
    command = [sys.executable, "-m", "tests.engine.compatibility", *(["--record"] if record else []), *names]
    found = {"PYTHONPATH": str(root / "src"), "CHROMIUM": str(chromium)}
    return OK if call(command, root, found) == 0 else FAILED


def conformance(root: Path, *, node: str | None) -> int:
    """Run the suite of the Model Context Protocol with that Node, or the one on PATH; the exit code."""
    program = find_node(node or "node", minimum=MINIMUM_NODE, hint=NODE_HINT)
    _install_packages(root, CONFORMANCE, what="the conformance suite")
    results = root / ".local" / "conformance"
    command = [sys.executable, "-m", "tests.engine.conformance", "--node", program, "--results", str(results)]
    return OK if call(command, root, {}) == 0 else FAILED


def _install_packages(root: Path, name: str, *, what: str) -> None:
    """Install what package-lock.json in that folder says, unless it is installed; CommandError when npm cannot."""
    folder = root / name
    lock, installed = (folder / "package-lock.json").read_text("utf-8"), folder / INSTALLED
    if installed.is_file() and installed.read_text("utf-8") == lock:
        return
    npm = find_program("npm", hint=f"It installs {what}.")
    say(f"Installing {what} from npm")
    installed.unlink(missing_ok=True)
    # Not `npm ci`: it refuses a lock without the programs of platforms that the registry it was written with lacks.
    command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder)]
    run_visibly(command, log=root / ".local" / "logs" / f"setup-{folder.name}.log", hint=REGISTRY_HINT)
    installed.write_text(lock, "utf-8")
