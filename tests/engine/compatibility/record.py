"""What a run recorded: results.json, and the versions of package.json and requirements.txt that it is about."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from local.config import REPOSITORY

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PINS = HERE / "package.json"


def version_of(package: str) -> str:
    """The pinned version of a driver's package."""
    pins = json.loads(PINS.read_text("utf-8"))
    if not package.startswith("pypi:"):
        return pins["devDependencies"][package]
    name, _, environment = package.removeprefix("pypi:").partition(" ")
    if environment:
        return pins["python"][environment][name]
    found = re.search(rf"^{name}==(\S+)", (REPOSITORY / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{name} is not in requirements.txt")
    return found[1]


def read() -> dict[str, dict[str, Any]]:
    """What is recorded of each client, by its name."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def write(found: dict[str, dict[str, Any]]) -> None:
    """Records it, beside what is recorded of other clients; in an order that is the same after every run."""
    text = json.dumps({**read(), **found}, indent=2, ensure_ascii=False, sort_keys=True)
    RESULTS.write_text(f"{text}\n", "utf-8")
