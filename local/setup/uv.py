"""Finds uv, and has it install from the same places as pip."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.progress import CommandError, run_visibly, say

if TYPE_CHECKING:
    from collections.abc import Sequence

FROM_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
"""pip's settings and uv's variables for the same; uv reads none of pip's own."""

LIKE_PIP = {
    "UV_INDEX_STRATEGY": "unsafe-best-match",  # safe: every package has its hash in the locked files
    "UV_SYSTEM_CERTS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}

INDEX_HINT = "Check the network (or PIP_INDEX_URL, PIP_CERT and the proxy settings) and run the command again."


def find_uv(scripts: Path) -> str | None:
    """The uv in `scripts`, where the locked one is, or the one on PATH; a version manager's empty link is none."""
    for place in (str(scripts), None):
        found = shutil.which("uv", path=place)
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    return None


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
    log = root / ".local" / "logs" / f"setup-{environment.name}.log"
    for step in (
        ["venv", "--clear", "--python", sys.executable, str(environment)],
        ["pip", "install", "--python", str(python), *wanted],
    ):
        run_visibly([uv, *step], log=log, hint=INDEX_HINT, environment=uv_environment(), cwd=root)
    installed.write_text(json.dumps(wanted), "utf-8")
    return python


def uv_environment() -> dict[str, str]:
    """Variables for uv: what `pip config list` says, unless the variable is set already, or there is no pip."""
    found = dict(LIKE_PIP)
    # One line a setting, `:env:.index-url='https://...'`; variables win over files.
    for line in sorted(_pip_settings(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        variable = FROM_PIP.get(name.rpartition(".")[2])
        if variable:
            separator = "," if variable == "UV_FIND_LINKS" else " "
            found[variable] = separator.join(ast.literal_eval(value).split())
    return {name: value for name, value in found.items() if name not in os.environ}


def _pip_settings() -> list[str]:
    """What the pip of the Python that .venv is made with says, for .venv has none of its own; none without a pip."""
    python = "python.exe" if os.name == "nt" else f"bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    command = [Path(sys.base_prefix, python), "-m", "pip", "config", "list"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return []
