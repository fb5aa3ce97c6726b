"""Reads infra/snapshots: sets of parameters, and what the compiler says that a deployment with each of them has."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.infra.template import INFRA

if TYPE_CHECKING:
    from pathlib import Path

METADATA = {
    "tenantId": "00000000-0000-4000-8000-000000000001",
    "subscriptionId": "00000000-0000-4000-8000-000000000002",
    "location": "northeurope",
    "deploymentName": "snapshot",
}
"""The names of resources, and so every snapshot, depend on it."""

OPTIONS = " ".join(f"--{re.sub('([A-Z])', r'-\1', name).lower()} {value}" for name, value in METADATA.items())
"""The same for a person who refreshes them."""


def parameter_sets() -> list[Path]:
    return sorted((INFRA / "snapshots").glob("*.bicepparam"))


def given(parameters: Path) -> dict[str, str]:
    """The values of a set of parameters, as Bicep writes them."""
    return dict(re.findall(r"^param (\w+) = (.+)$", parameters.read_text("utf-8"), re.MULTILINE))


def resources(parameters: Path) -> list[dict[str, Any]]:
    """The resources of the snapshot that belongs to a set of parameters."""
    found: dict[str, Any] = json.loads(parameters.with_suffix(".snapshot.json").read_text("utf-8"))
    return found["predictedResources"]


def outputs(name: str) -> dict[str, str]:
    """The outputs in the snapshot of that name; an expression where Azure alone knows a part of it."""
    return json.loads((INFRA / "snapshots" / f"{name}.snapshot.json").read_text("utf-8"))["outputs"]


def of_type(name: str, kind: str) -> list[dict[str, Any]]:
    """The resources of one type in the snapshot of that name."""
    return [found for found in resources(INFRA / "snapshots" / f"{name}.bicepparam") if found["type"] == kind]
