"""The short commands: test, check, lock and clean; each runs well-known tools and sums up what they said."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local.exit_codes import FAILED, OK
from local.processes.signals import TerminatedError
from local.progress import GRACE, CommandError, say
from local.setup.programs import find_program
from local.setup.uv import find_uv, uv_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_WORKERS = 8
"""More than these wait for the same few files, each with stand-ins of its own."""

FAST = ("tests/app", "tests/engine/unit")
"""The tests that start no process: what is quick enough to run after each change."""

SPREAD = ("--dist", "loadfile", "--no-loadscope-reorder")
"""A file at a time, in the order of tests/conftest.py: the plugin's own would leave the long ones for the end."""

LOCKED = {"requirements.txt": (), "requirements-local.txt": ("local",), "requirements-dev.txt": ("local", "dev")}
"""The locked files, with the extras of pyproject.toml they serve; a later one leaves out what an earlier one has."""
APP_REQUIREMENTS = "src/app/requirements.in"
"""Packages that a fork's tools need, a line for each; a fork creates the file when it needs one."""

COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.13", "--generate-hashes"),
    *("--no-header", "--no-annotate"),
)
READABILITY = "tests/template/test_readability.py"

BROWSER, CONFORMANCE, INSIGHTS = "tests/engine/browser", "tests/engine/conformance", "tests/engine/insights"
CLIENTS = "tests/engine/compatibility"

BUILT = (".venv", "node_modules", *(f"{folder}/node_modules" for folder in (CLIENTS, CONFORMANCE, INSIGHTS)), ".local")
MADE = (*BUILT, ".pytest_cache", ".ruff_cache", ".hypothesis", "test-results")


def test(root: Path, arguments: Sequence[str], *, chromium: Path | None) -> int:
    """The tests; `arguments` go to pytest and win over what is chosen and how it is spread.

    Without any, those that are marked `long` are left out; `--fast` stands for those that start no process. There are
    two processes more than there are cores, since many tests wait for a deadline or for a process to start; a single
    file is run by one.
    """
    if "--fast" in arguments:
        arguments = ["-m", "not long", *FAST, *(each for each in arguments if each != "--fast")]
    found = {"CHROMIUM": str(chromium)} if chromium else {}
    # The tests start hundreds of programs, and without bytecode each would compile the same modules again.
    found["PYTHONDONTWRITEBYTECODE"] = ""
    chosen = () if arguments else ("-m", "not long")
    workers = str(min((os.cpu_count() or 1) + 2, MAX_WORKERS))
    parallel = ("-n", "0") if _is_a_single_file(_paths(arguments)) else ("-n", workers, *SPREAD)
    return OK if call([sys.executable, "-m", "pytest", *parallel, *chosen, *arguments], root, found) == 0 else FAILED


def wants_browser(arguments: Sequence[str]) -> bool:
    """Whether a run with these arguments may reach the browser tests: it does unless only other paths are named."""
    named = FAST if "--fast" in arguments else _paths(arguments)
    return not named or any(BROWSER.startswith(path) or path.startswith(BROWSER) for path in named)


def _paths(arguments: Sequence[str]) -> list[str]:
    """The files and folders of tests that the arguments name, with slashes and without the names of tests."""
    paths = [argument.split("::", 1)[0].replace(os.sep, "/").rstrip("/") for argument in arguments]
    return [path for path in paths if path == "tests" or path.startswith("tests/")]


def _is_a_single_file(paths: Sequence[str]) -> bool:
    return len(set(paths)) == 1 and paths[0].endswith(".py")


def check(root: Path) -> int:
    """Lint, formatting, types and readability, all of them even when one fails; which failed is said at the end."""
    checks = {
        "ruff check": ["-m", "ruff", "check", "."],
        "ruff format": ["-m", "ruff", "format", "--check", "."],
        "pyright": ["-m", "pyright"],
    }
    if (root / READABILITY).exists():  # a rule about the template itself, which a fork does not have
        checks["readability"] = ["-m", "pytest", "-q", "-n", "0", READABILITY]
    failed: list[str] = []
    for name, command in checks.items():
        say(f"== {name}")
        began = time.monotonic()
        code = call([sys.executable, *command], root, {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"})
        say(f"   {'passed' if code == 0 else 'FAILED'} ({time.monotonic() - began:.1f} s)")
        if code:
            failed.append(name)
    say(f"FAILED: {', '.join(failed)}" if failed else f"All {len(checks)} checks passed.")
    return FAILED if failed else OK


def bench(root: Path, arguments: Sequence[str]) -> int:
    """The benchmarks; `arguments` are those of `python -m bench`, and so is the exit code."""
    return call([sys.executable, "-m", "bench", *arguments], root, {"PYTHONPATH": str(root / "src")})


def docs(root: Path) -> int:
    """The documents as a site in .local/site; a link that leads nowhere is a failure."""
    if call([sys.executable, "-m", "mkdocs", "build"], root, {"NO_MKDOCS_2_WARNING": "1"}):
        return FAILED
    say("Built in .local/site. Look at it: python -m http.server --bind 127.0.0.1 --directory .local/site 8000")
    return OK


def lock(root: Path, *, upgrade: bool) -> int:
    """Write the locked files again: the requirements, with a fork's own packages, and each package-lock.json."""
    uv = find_uv(Path(sys.executable).parent)
    if uv is None:
        raise CommandError("uv writes the locked files, and does not run on this machine. Lock on another one.")
    variables = uv_environment()
    for name in LOCKED:
        say(f"Locking {name}")
        if call([uv, *_compile(root, name, upgrade=upgrade)], root, variables):
            say(f"FAILED: {name}")
            return FAILED
    npm = find_program("npm", hint="It writes each package-lock.json.")
    lock_packages = [npm, "update" if upgrade else "install", "--package-lock-only", "--no-audit", "--no-fund"]
    for folder in (".", CLIENTS, CONFORMANCE, INSIGHTS):
        say(f"Locking {folder}/package-lock.json".replace("./", ""))
        if call([*lock_packages, "--prefix", folder], root, {}):
            say(f"FAILED: {folder}/package-lock.json")
            return FAILED
    say("Locked. Run the tests, then commit these files together.")
    return OK


def _compile(root: Path, name: str, *, upgrade: bool) -> list[str]:
    earlier = list(LOCKED)[: list(LOCKED).index(name)]
    locked = "".join((root / file).read_text("utf-8") for file in earlier)
    own = [APP_REQUIREMENTS] if (root / APP_REQUIREMENTS).exists() else []
    return [
        *(*COMPILE, *(["--upgrade"] if upgrade else [])),
        *(f"--extra={extra}" for extra in LOCKED[name]),
        *(f"--constraints={file}" for file in earlier),
        *(f"--no-emit-package={found}" for found in re.findall(r"^([\w.-]+)==", locked, re.MULTILINE)),
        *(f"--output-file={name}", "pyproject.toml", *own),
    ]


def clean(root: Path, *, everything: bool) -> int:
    """Remove what the tools made: caches always; with `everything` the environments and the local data too."""
    chosen = MADE if everything else MADE[len(BUILT) :]
    for folder in [*(root / name for name in chosen), *_bytecode(root)]:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    kept = "" if everything else " .venv, node_modules and the data in .local are kept; --all removes them too."
    say(f"Clean.{kept}")
    return OK


def _bytecode(root: Path) -> list[Path]:
    sources = ("src", "local", "tests", "ops", "bench")
    return [root / "__pycache__", *(found for name in sources for found in (root / name).rglob("__pycache__"))]


def call(command: Sequence[str], root: Path, variables: Mapping[str, str]) -> int:
    """Run a command in the checkout with some more variables, and wait for it; its exit code."""
    sys.stdout.flush()
    with subprocess.Popen(command, cwd=root, env={**os.environ, **variables}) as child:
        try:
            return child.wait()
        except KeyboardInterrupt as stop:
            _end(child, asked=not isinstance(stop, TerminatedError))
            raise


def _end(child: subprocess.Popen[bytes], *, asked: bool) -> None:
    """Have the child end as Ctrl-C does, unless the terminal asked it already, then end what it left running."""
    import psutil  # the first lines of the command line run without any package

    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(child.pid).children(recursive=True)
    if not asked:
        child.send_signal(signal.SIGINT)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
    for process in below:
        with suppress(psutil.NoSuchProcess):
            process.kill()
