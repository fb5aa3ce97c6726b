"""Reads JSON documents of services: a part that is missing or of another kind counts as empty."""

from __future__ import annotations

from typing import Any, cast


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
