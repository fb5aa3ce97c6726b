"""`clients`: runs real MCP clients against the server, in the versions that tests/engine/compatibility pins."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.exit_codes import FAILED, OK
from local.progress import CommandError, say
from local.setup.programs import install_packages
from local.setup.uv import find_uv, uv_environment
from local.tasks import CLIENTS, call

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENTS = Path(".local") / "clients"
"""Clients for Python that need other versions than this server, each in an environment of its name."""


def clients(root: Path, names: Sequence[str], *, record: bool, chromium: Path) -> int:
    """Install what is missing, run those with one of `names` in theirs, or all; the exit code."""
    folder = root / CLIENTS
    install_packages(folder, what="the clients (2 GB)", log=root / ".local" / "logs" / "setup-clients.log")
    for name, pinned in json.loads((folder / "package.json").read_text("utf-8"))["python"].items():
        install_environment(root, root / ENVIRONMENTS / name, [f"{package}=={at}" for package, at in pinned.items()])
    command = [sys.executable, "-m", "tests.engine.compatibility", *(["--record"] if record else []), *names]
    found = {"PYTHONPATH": str(root / "src"), "CHROMIUM": str(chromium)}
    return OK if call(command, root, found) == 0 else FAILED


def install_environment(root: Path, environment: Path, wanted: Sequence[str]) -> Path:
    """Installs packages that need other versions than this server into an environment of their own; returns its Python.

    Raises:
        CommandError: uv does not run, or could not install them.
    """
    installed, python = environment / "installed.json", environment / "bin" / "python"
    if installed.is_file() and json.loads(installed.read_text("utf-8")) == list(wanted):
        return python
    uv = find_uv(Path(sys.executable).parent)
    if uv is None:
        raise CommandError(f"uv installs {' '.join(wanted)}, and does not run on this machine.")
    say(f"Installing {' '.join(wanted)}")
    steps = (
        ["venv", "--clear", "--python", sys.executable, str(environment)],
        ["pip", "install", "--python", str(python), *wanted],
    )
    variables = uv_environment()
    if any(call([uv, *step, "--quiet"], root, variables) for step in steps):
        raise CommandError("uv could not install it. Check the network, and what pip is set to.")
    installed.write_text(json.dumps(wanted), "utf-8")
    return python
