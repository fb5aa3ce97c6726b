"""`python -m ops package`: puts together what is deployed, and lists it; azd runs it before it packages.

The package is what .funcignore leaves of this folder, with our own code compiled. Where it is mounted read-only Python
cannot keep what it compiles, and would compile every module again at each cold start. The compiled files say that their
sources need not be looked at (PEP 552, unchecked hashes): in a package both stay as they are, and the times of files
get lost. In a working folder that would hide changes, so the files are made in a copy. The packages of requirements.txt
are installed, and compiled, in Azure.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from py_compile import PycInvalidationMode
from typing import TYPE_CHECKING

from ops.command import Command, Context
from ops.doctor.app import wanted_python
from ops.errors import OpsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

IGNORE_FILE = ".funcignore"
STAGE = Path(".local") / "package"
"""Where azure.yaml has azd take the package from."""


def run(context: Context) -> int:
    """Compiles where this Python is the one that runs in Azure: another one's files would be of no use there."""
    wanted, own = wanted_python(context.root), ".".join(str(part) for part in sys.version_info[:2])
    compiled = own == wanted
    files = stage(context.root, compiled=compiled)
    sizes = Counter[str]()
    numbers = Counter[str]()
    for path in files:
        folder = [part for part in path.parent.parts if part != "__pycache__"][:3]
        name = "/".join(folder) or path.name
        sizes[name] += (context.root / STAGE / path).stat().st_size
        numbers[name] += 1
    context.report.heading(f"Deployment package in {STAGE.as_posix()}")
    for name, size in sizes.most_common():
        context.report.ok(f"{size / 1024:8.1f} KB", f"{name}, {numbers[name]} file(s)" if numbers[name] > 1 else name)
    context.report.ok(f"{sizes.total() / 1024:8.1f} KB", f"in all, {len(files)} files")
    if not compiled:
        context.report.note(
            "compiled", f"nothing: Azure runs Python {wanted}, and this is {own}. Cold starts take longer."
        )
    return 0


def contents(root: Path) -> Iterator[Path]:
    """Every file that is deployed, relative to the folder; caches and environments of Python never are.

    Raises:
        UsageError: .funcignore has an exception from a pattern (`!`), which is not read here.
    """
    lines = (root / IGNORE_FILE).read_text("utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    for pattern in patterns:
        if pattern.startswith("!"):
            raise UsageError(
                f"{IGNORE_FILE} has an exception ({pattern}), which is not supported. Write patterns without it."
            )
    for current, folders, files in os.walk(root):
        here = Path(current).relative_to(root)

        def kept(name: str, here: Path = here) -> bool:
            path = PurePosixPath((here / name).as_posix())
            return name != "__pycache__" and not any(_matches(pattern, path) for pattern in patterns)

        folders[:] = [name for name in folders if kept(name) and not (root / here / name / "pyvenv.cfg").exists()]
        yield from (here / name for name in files if kept(name) and name != IGNORE_FILE)


def _matches(pattern: str, path: PurePosixPath) -> bool:
    """As a line of .gitignore: one with a slash is compared with the whole path, another with names alone."""
    text = pattern.rstrip("/")
    return path.full_match(text.removeprefix("/")) if "/" in text else fnmatchcase(path.name, text)


def stage(root: Path, *, compiled: bool) -> list[Path]:
    """Puts the package together, from nothing; returns the files in it, relative to it.

    Raises:
        OpsError: a file is no Python that can be compiled.
    """
    folder = root / STAGE
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(contents(root)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, folder / path)
    # azd leaves compiled files out where no such file says what is left out.
    (folder / IGNORE_FILE).write_text("local.settings.json\n", "utf-8")
    mode = PycInvalidationMode.UNCHECKED_HASH
    if compiled and not compileall.compile_dir(folder, stripdir=folder, quiet=1, force=True, invalidation_mode=mode):
        raise OpsError("The package was not made: a file in it cannot be compiled, see above.")
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name != IGNORE_FILE)


COMMAND = Command(
    name="package",
    summary="put together what is deployed, and list it with sizes; azd's hook",
    description=(
        "Copies what .funcignore leaves of this folder to .local/package, compiles our own code there, and lists what "
        "is in it with sizes. azd runs it before it creates the package, which it takes from there."
    ),
    run=run,
)
