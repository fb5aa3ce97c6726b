"""The Python files of this repository, without what azd and npm install beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def python_files(folder: Path) -> list[Path]:
    """Those in the folder and below; azd calls its environments by the name of their folder and `_env`."""
    files = sorted(folder.rglob("*.py"))
    return [file for file in files if not any(_installed(part) for part in file.relative_to(folder).parts)]


def _installed(part: str) -> bool:
    return part.endswith("_env") or part == "node_modules"
