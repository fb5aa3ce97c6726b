"""Builds .venv and node_modules from the locked files, once; the standard library is all it may use.

Each part has a stamp: the hash of what it was built from, removed first and written last. A set-up that was interrupted
has no stamp and is continued, also by whoever went back to the old locked files. One that is complete costs the reading
of two small files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes.locks import waiting
from local.progress import run_visibly, say, started
from local.setup.programs import REGISTRY_HINT, find_node, find_program
from local.setup.uv import INDEX_HINT, find_uv, uv_environment

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

MINIMUM_NODE = 20
STAMP = ".stamp"
"""The file with the hash, in the folder that was built. One that is half written is the hash of nothing."""

RUN = ("requirements.txt", "requirements-local.txt")
"""What the server needs, in Azure too, and what `make run` needs beside it."""
DEV = (*RUN, "requirements-dev.txt")
"""And what the tests, the linters and the lock need beside both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The environment of one checkout."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def node_modules(self) -> Path:
        return self.root / "node_modules"

    @property
    def logs(self) -> Path:
        return self.root / ".local" / "logs"

    def is_current(self) -> bool:
        """Whether this very process runs inside .venv."""
        return self.venv.exists() and Path(sys.prefix).resolve() == self.venv.resolve()

    def ensure(self, *, node: bool, dev: bool) -> None:
        """Build what is missing or out of date; CommandError says what a person has to do."""
        if self._python_is_built(dev=dev) and (not node or self._node_is_built()):
            return
        if node and not self._node_is_built():
            _node_and_npm()  # said now, not after the installation of the Python packages
        with (
            waiting(self.root / ".local" / "setup.sqlite3", on_wait=_say_waiting),
            self._installing_azurite() if node and not self._node_is_built() else nullcontext(),
        ):
            if not self._python_is_built(dev=dev):
                self._build_python(dev=dev)

    def enter(self, arguments: Sequence[str]) -> int:
        """Run `python -m local` again inside .venv: in place of this process where that exists, else as a child."""
        command = [str(self.python), "-m", "local", *arguments]
        # A run starts five processes that read the same modules; without bytecode each would compile all of them.
        os.environ["PYTHONDONTWRITEBYTECODE"] = ""
        os.chdir(self.root)
        sys.stdout.flush()
        if os.name == "posix":
            os.execv(command[0], command)  # noqa: S606 - the point is to become that process, without a shell
        try:
            return subprocess.call(command)
        except KeyboardInterrupt:
            return 130  # the child had the same Ctrl-C and has ended what it started

    # Python

    def _python_identity(self, files: Sequence[str]) -> str:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return _fingerprint(b"".join((self.root / name).read_bytes() for name in files), version, str(self.venv))

    def _python_is_built(self, *, dev: bool) -> bool:
        # A Python that was upgraded or removed leaves a dangling link behind: then exists() is false.
        wanted = (DEV,) if dev else (RUN, DEV)
        return self.python.exists() and _stamp(self.venv) in [self._python_identity(files) for files in wanted]

    def _build_python(self, *, dev: bool) -> None:
        files = DEV if dev else RUN
        (self.venv / STAMP).unlink(missing_ok=True)
        if not self._interpreter_is_right():
            say(f"Creating {self.venv.name} with Python {sys.version_info[0]}.{sys.version_info[1]}")
            create = ["-m", "venv", "--clear", "--without-pip", str(self.venv)]
            self._run([sys.executable, *create], name="venv", hint=_VENV_HINT)
        uv = find_uv(self.python.parent) or self._install_uv()
        requirements = [word for name in files for word in ("--requirement", name)]
        say(f"Installing the Python packages of {', '.join(files)}")
        if uv:
            # The tests start hundreds of programs that share this bytecode; a run compiles no more than it imports.
            compiled = ["--compile-bytecode"] if dev else []
            install = [uv, "pip", "install", "--python", str(self.python), "--require-hashes", *compiled, *requirements]
            self._run(install, name="uv", hint=INDEX_HINT, environment=uv_environment())
        else:
            install = ["install", "--no-input", "--require-hashes", *requirements]
            self._run([*self._pip(), *install], name="pip", hint=INDEX_HINT)
        (self.venv / STAMP).write_text(self._python_identity(files), "ascii")

    def _interpreter_is_right(self) -> bool:
        if not self.python.exists() or not (self.venv / "pyvenv.cfg").is_file():
            return False
        probe = "import sys; print(*sys.version_info[:2])"
        answer = subprocess.run([str(self.python), "-c", probe], capture_output=True, text=True, check=False)
        return answer.stdout.split() == [str(part) for part in sys.version_info[:2]]

    def _install_uv(self) -> str | None:
        """uv in .venv, in its locked version; None, and said, where it does not run."""
        say("Installing uv, which installs the Python packages in seconds")
        install = ["install", "--no-input", "--no-deps", "--require-hashes", "--requirement", RUN[-1]]
        self._run([*self._pip(), *install], name="pip-uv", hint=INDEX_HINT)
        uv = find_uv(self.python.parent)
        if uv is None:
            say("uv does not run on this machine, so pip installs the packages. That takes minutes.")
        return uv

    def _pip(self) -> list[str]:
        """The command of a pip that works on .venv: this Python's own, or else one that ensurepip puts into .venv."""
        options = ["-m", "pip", "--disable-pip-version-check"]
        if find_spec("pip"):
            return [sys.executable, *options, "--python", str(self.python)]
        self._run([str(self.python), "-m", "ensurepip"], name="ensurepip", hint=_VENV_HINT)
        return [str(self.python), *options]

    # Node

    def _node_is_built(self) -> bool:
        node = shutil.which("node")
        azurite = self.node_modules / "azurite" / "package.json"
        return node is not None and azurite.is_file() and _stamp(self.node_modules) == self._node_identity(node)

    def _node_identity(self, node: str) -> str:
        return _fingerprint((self.root / "package-lock.json").read_bytes(), node)

    @contextmanager
    def _installing_azurite(self) -> Generator[None]:
        """Run `npm ci` beside the block; CommandError when it failed, or when Node or npm is missing or old."""
        node, npm = _node_and_npm()
        say("Installing Azurite, the storage emulator, from package-lock.json")
        (self.node_modules / STAMP).unlink(missing_ok=True)
        log = self.logs / "setup-npm.log"
        # No package of Azurite has an install script, and none gets to run one.
        command = [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
        with started(command, log=log, hint=REGISTRY_HINT, cwd=self.root) as finish:
            yield
            say("Waiting for Azurite's installation")
            finish()
        (self.node_modules / STAMP).write_text(self._node_identity(node), "ascii")

    def _run(self, command: list[str], *, name: str, hint: str, environment: Mapping[str, str] | None = None) -> None:
        log = self.logs / f"setup-{name}.log"
        run_visibly(command, log=log, hint=hint, environment=environment, cwd=self.root)


_VENV_HINT = "On Debian and Ubuntu the module is a package of its own: apt-get install python3-venv (python3.13-venv)."
_NODE_HINT = f"Install Node {MINIMUM_NODE} or newer, npm included (https://nodejs.org), and run the command again."


def _node_and_npm() -> tuple[str, str]:
    hint = f"Azurite, the storage emulator, needs it. {_NODE_HINT}"
    return find_node("node", minimum=MINIMUM_NODE, hint=hint), find_program("npm", hint=hint)


def _say_waiting() -> None:
    say("Another set-up of this checkout is under way; waiting for it.")


def _fingerprint(content: bytes, *facts: str) -> str:
    return hashlib.sha256(b"\0".join([content, *(fact.encode() for fact in facts)])).hexdigest()


def _stamp(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text("ascii")
    except OSError:
        return ""
