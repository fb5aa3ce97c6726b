"""Builds the deployment package as azd would: the folder without what .funcignore lists, environments and caches."""

from __future__ import annotations

import os
import re
import zipfile
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnknownPatternError(Exception):
    """A line of .funcignore is of a kind that is not read here."""


def ignored(ignore_file: Path) -> list[tuple[bool, re.Pattern[str]]]:
    """The patterns of an ignore file, each with whether it holds for paths from the top only.

    UnknownPatternError for what this project does not use: negations, and slashes in the middle.
    """
    patterns: list[tuple[bool, re.Pattern[str]]] = []
    for line in ignore_file.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        anchored, name = line.startswith("/"), line.strip("/")
        if line.startswith("!") or "/" in name or "**" in name:
            raise UnknownPatternError(line)
        patterns.append((anchored, re.compile(translate(name))))
    return patterns


def contents(folder: Path) -> Iterator[Path]:
    """Every file that is deployed, relative to the folder."""
    patterns = ignored(folder / ".funcignore")

    def left_out(path: Path) -> bool:
        top = len(path.relative_to(folder).parts) == 1
        return any(pattern.match(path.name) and (top or not anchored) for anchored, pattern in patterns)

    for current, folders, files in os.walk(folder):
        here = Path(current)
        # azd leaves environments and caches out, whatever the file says.
        folders[:] = [
            name
            for name in folders
            if name not in {"__pycache__", ".azure"}
            and not (here / name / "pyvenv.cfg").exists()
            and not left_out(here / name)
        ]
        yield from ((here / name).relative_to(folder) for name in files if not left_out(here / name))


def build(folder: Path, package: Path) -> list[str]:
    """Write the package; returns the names in it."""
    names = sorted(path.as_posix() for path in contents(folder))
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(folder / name, name)
    return names
