"""`clients`: runs real MCP clients against the server, in the versions that tests/engine/compatibility pins."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.progress import SetupError, say
from local.setup.uv import find_uv, uv_environment
from local.tasks import CLIENTS, FAILED, OK, call

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENTS = Path(".local") / "clients"
"""Clients for Python that need other versions than this server, each in an environment of its name."""

INSTALLED = "node_modules/.installed"
"""Keeps the package-lock.json that the installation is of."""


def clients(root: Path, names: Sequence[str], *, record: bool, chromium: Path | None) -> int:
    """Install what is missing, run those with one of `names` in theirs, or all; the exit code."""
    folder = root / CLIENTS
    _install_from_npm(root, folder)
    _install_from_pypi(root, folder)
    command = [sys.executable, "-m", "tests.engine.compatibility", *(["--record"] if record else []), *names]
    found = {"PYTHONPATH": str(root / "src"), **({"CHROMIUM": str(chromium)} if chromium else {})}
    return OK if call(command, root, found) == 0 else FAILED


def _install_from_npm(root: Path, folder: Path) -> None:
    lock, installed = (folder / "package-lock.json").read_text("utf-8"), folder / INSTALLED
    if installed.is_file() and installed.read_text("utf-8") == lock:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError("npm is not on PATH; the clients are installed with it.")
    say("Installing the clients from npm, 2 GB")
    # Not `npm ci`: it refuses a lock without the programs of platforms that the registry it was written with lacks.
    if call([npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder)], root, {}):
        raise SetupError("npm could not install the clients. Check the network, npm's registry and proxy settings.")
    installed.write_text(lock, "utf-8")


def _install_from_pypi(root: Path, folder: Path) -> None:
    environments = json.loads((folder / "package.json").read_text("utf-8"))["python"]
    for name, pinned in environments.items():
        install_environment(root, root / ENVIRONMENTS / name, [f"{package}=={at}" for package, at in pinned.items()])


def install_environment(root: Path, environment: Path, wanted: Sequence[str]) -> Path:
    """Installs packages that need other versions than this server into an environment of their own; returns its Python.

    Raises:
        SetupError: uv does not run, or could not install them.
    """
    installed, python = environment / "installed.json", environment / "bin" / "python"
    if installed.is_file() and json.loads(installed.read_text("utf-8")) == list(wanted):
        return python
    uv = find_uv(Path(sys.executable).parent)
    if uv is None:
        raise SetupError(f"uv installs {' '.join(wanted)}, and does not run on this machine.")
    say(f"Installing {' '.join(wanted)}")
    steps = (
        ["venv", "--clear", "--python", sys.executable, str(environment)],
        ["pip", "install", "--python", str(python), *wanted],
    )
    variables = uv_environment()
    if any(call([uv, *step, "--quiet"], root, variables) for step in steps):
        raise SetupError("uv could not install it. Check the network, and what pip is set to.")
    installed.write_text(json.dumps(wanted), "utf-8")
    return python
