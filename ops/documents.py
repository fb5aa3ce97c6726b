"""Reads JSON documents: a part that is missing or of another kind counts as empty. Writes them to files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pathlib import Path


def part(document: object, *names: str) -> dict[str, Any]:
    """The object under the names, one within the other."""
    for name in names:
        document = cast("dict[str, Any]", document).get(name) if isinstance(document, dict) else None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def entries(document: object, *names: str) -> list[dict[str, Any]]:
    """The objects of the list under the names."""
    found = part(document, *names[:-1]).get(names[-1])
    if not isinstance(found, list):
        return []
    return [cast("dict[str, Any]", entry) for entry in cast("list[object]", found) if isinstance(entry, dict)]


def words(document: object, *names: str) -> list[str]:
    """The strings of the list under the names."""
    found = part(document, *names[:-1]).get(names[-1])
    if not isinstance(found, list):
        return []
    return [entry for entry in cast("list[object]", found) if isinstance(entry, str)]


def read(file: Path) -> dict[str, Any]:
    """The object in the file; empty where there is no such file, or something else in it."""
    try:
        return part(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def write(file: Path, document: dict[str, Any]) -> None:
    """Replaces the file in one step: a run that is killed leaves no half of it."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(f"{json.dumps(document, indent=2)}\n", "utf-8")
    new.replace(file)
