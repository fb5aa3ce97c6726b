"""Starts the app of a folder with nothing but what its requirements.txt names: a program for the tests.

    python deployed.py FOLDER

It prints, as JSON, the distributions and the folder's own top-level modules that the started app has imported, and
whether Python looks for garbage, and not among all that there is: once it is imported, once it has started.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(folder: Path) -> set[str]:
    lines = (folder / "requirements.txt").read_text().splitlines()
    return {normal(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))}


class Undeployed(MetaPathFinder):
    """Hides the packages that none of the allowed distributions holds."""

    def __init__(self, allowed: set[str]) -> None:
        holders = packages_distributions().items()
        self._hidden = {package for package, names in holders if allowed.isdisjoint(map(normal, names))}

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname.split(".", maxsplit=1)[0] in self._hidden:
            raise ModuleNotFoundError(f"{fullname} is not in requirements.txt", name=fullname)
        return None


def module_files() -> set[str]:
    return {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}


def imported(folder: Path, *, before: set[str]) -> dict[str, object]:
    files = module_files() - before
    owners = {
        str(distribution.locate_file(file)): name
        for distribution in distributions()
        for name in [normal(distribution.name)]  # read from its metadata each time
        for file in distribution.files or ()
    }
    site_packages = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    own = {Path(file).relative_to(folder).parts[0] for file in files if Path(file).is_relative_to(folder)}
    own -= {site_packages.relative_to(folder).parts[0]} if site_packages.is_relative_to(folder) else set[str]()
    return {"distributions": sorted({owners[file] for file in files if file in owners}), "own": sorted(own)}


def garbage() -> tuple[bool, bool]:
    return gc.isenabled(), gc.get_freeze_count() > 100_000


async def main(folder: Path) -> None:
    before = module_files()  # this program's own, and what the environment brings into every process
    sys.meta_path.insert(0, Undeployed(required(folder)))
    sys.path[0] = str(folder)  # instead of this program's folder
    import_module("function_app")
    collects = [garbage()]
    server, engine = import_module("app.server").server, import_module("entra_mcp.app")
    async with engine.running_app(server):
        collects.append(garbage())
        found = {**imported(folder, before=before), "collects": collects}
        print(json.dumps(found))  # noqa: T201 - the answer of this program


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
