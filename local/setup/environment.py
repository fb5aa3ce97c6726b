"""Builds .venv and node_modules from the locked files, once; the standard library is all it may use.

Each part carries a stamp, the hash of what it was built from, removed first and written last: a set-up that was
interrupted has no stamp and is taken up again, and one that is complete costs the reading of two small files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes.locks import waiting
from local.progress import CommandFailedError, run_visibly, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MINIMUM_NODE = 20


class SetupError(Exception):
    """Something is missing that the set-up cannot install by itself, or an installation failed; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The environment of one checkout."""

    root: Path
    say: Callable[[str], None] = field(default=say)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def requirements(self) -> Path:
        return self.root / "requirements-dev.txt"

    @property
    def node_modules(self) -> Path:
        return self.root / "node_modules"

    @property
    def logs(self) -> Path:
        return self.root / ".local" / "logs"

    def is_current(self) -> bool:
        """Whether this very process runs inside .venv."""
        return self.venv.exists() and Path(sys.prefix).resolve() == self.venv.resolve()

    def ensure(self, *, node: bool) -> None:
        """Build what is missing or out of date; SetupError says what a person has to do."""
        if self._python_is_built() and (not node or self._node_is_built()):
            return
        if node and not self._node_is_built():
            self._node_and_npm()  # said now, not after a minute of installing Python packages
        with waiting(self.root / ".local" / "setup.lock", on_wait=self._say_waiting):
            if not self._python_is_built():
                self._build_python()
            if node and not self._node_is_built():
                self.install_azurite()

    def enter(self, arguments: Sequence[str]) -> int:
        """Run `python -m local` again inside .venv: in place of this process where that exists, else as a child."""
        command = [str(self.python), "-m", "local", *arguments]
        os.chdir(self.root)
        sys.stdout.flush()
        if os.name == "posix":
            os.execv(command[0], command)  # noqa: S606 - the point is to become that process, without a shell
        try:
            return subprocess.call(command)
        except KeyboardInterrupt:
            return 130  # the child had the same Ctrl-C and has ended what it started

    def _say_waiting(self) -> None:
        self.say("Another set-up of this checkout is under way; waiting for it.")

    # Python

    def _python_identity(self) -> str:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return _fingerprint(self.requirements.read_bytes(), version, str(self.venv))

    def _python_is_built(self) -> bool:
        # A Python that was upgraded or removed leaves a dangling link behind: then exists() is false.
        return self.python.exists() and _stamp(self.venv) == self._python_identity()

    def _build_python(self) -> None:
        _remove_stamp(self.venv)
        if not self._interpreter_is_right():
            self.say(f"Making {self.venv.name} with Python {sys.version_info[0]}.{sys.version_info[1]}")
            self._run([sys.executable, "-m", "venv", "--clear", str(self.venv)], log="setup-venv.log", hint=_VENV_HINT)
        total = sum(1 for line in self.requirements.read_text("utf-8").splitlines() if re.match(r"[\w.-]+", line))
        self.say(
            f"Installing {total} Python packages from {self.requirements.name} (the first time takes a minute or two)"
        )
        seen: set[str] = set()

        def step_of(line: str) -> str | None:
            found = re.match(r"\s*(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line)
            if found:
                seen.add(found.group(1).lower())
                return f"{min(len(seen), total)} of {total}: {found.group(1)}"
            return "installing" if line.startswith("Installing") else None

        self._run(
            [str(self.python), "-m", "pip", "install", "--no-input", "--requirement", str(self.requirements)],
            log="setup-pip.log",
            step_of=step_of,
            hint="Check the network (or PIP_INDEX_URL, PIP_CERT and the proxy settings) and run the command again.",
            environment={"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        _write_stamp(self.venv, self._python_identity())

    def _interpreter_is_right(self) -> bool:
        if not self.python.exists() or not (self.venv / "pyvenv.cfg").is_file():
            return False
        probe = "import pip, sys; print(*sys.version_info[:2])"
        answer = subprocess.run([str(self.python), "-c", probe], capture_output=True, text=True, check=False)
        return answer.stdout.split() == [str(part) for part in sys.version_info[:2]]

    # Node

    def _node_is_built(self) -> bool:
        node = shutil.which("node")
        azurite = self.node_modules / "azurite" / "package.json"
        return node is not None and azurite.is_file() and _stamp(self.node_modules) == self._node_identity(node)

    def _node_identity(self, node: str) -> str:
        return _fingerprint((self.root / "package-lock.json").read_bytes(), node)

    def install_azurite(self) -> None:
        """Run `npm ci`; SetupError when Node or npm is missing or too old, or when it fails."""
        node, npm = self._node_and_npm()
        self.say("Installing Azurite, the storage emulator, from package-lock.json")
        _remove_stamp(self.node_modules)
        self._run(
            [npm, "ci", "--no-audit", "--no-fund"],
            log="setup-npm.log",
            hint="Check the network (or npm's registry, cafile and proxy settings) and run the command again.",
        )
        _write_stamp(self.node_modules, self._node_identity(node))

    def _node_and_npm(self) -> tuple[str, str]:
        node = shutil.which("node")
        npm = shutil.which("npm")
        if node is None or npm is None:
            missing = "Node.js" if node is None else "npm"
            raise SetupError(f"{missing} is not on PATH. Azurite, the storage emulator, needs it. {_NODE_HINT}")
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        version = answer.stdout.strip()
        found = re.match(r"v(\d+)\.", version)
        if found is None or int(found.group(1)) < MINIMUM_NODE:
            raise SetupError(f"{node} is Node {version or 'of an unknown version'}. {_NODE_HINT}")
        return node, npm

    def _run(
        self,
        command: list[str],
        *,
        log: str,
        hint: str,
        step_of: Callable[[str], str | None] = lambda _line: None,
        environment: dict[str, str] | None = None,
    ) -> None:
        try:
            run_visibly(
                command, log=self.logs / log, step_of=step_of, environment=environment, cwd=self.root, say=self.say
            )
        except CommandFailedError as fault:
            raise SetupError(f"{fault}\n{hint}") from None


_VENV_HINT = "On Debian and Ubuntu the module is a package of its own: apt-get install python3-venv (python3.13-venv)."
_NODE_HINT = f"Install Node {MINIMUM_NODE} or newer, npm included (https://nodejs.org), and run the command again."


def _fingerprint(content: bytes, *facts: str) -> str:
    return hashlib.sha256(b"\0".join([content, *(fact.encode() for fact in facts)])).hexdigest()


def _stamp(folder: Path) -> str:
    try:
        return (folder / ".stamp").read_text("ascii")
    except OSError:
        return ""


def _remove_stamp(folder: Path) -> None:
    """What is half changed is no longer what the stamp says, also for whoever goes back to the old locked files."""
    (folder / ".stamp").unlink(missing_ok=True)


def _write_stamp(folder: Path, identity: str) -> None:
    scratch = folder / ".stamp.new"
    scratch.write_text(identity, "ascii")
    scratch.replace(folder / ".stamp")
