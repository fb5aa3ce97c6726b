"""What azd's environment does not say, or says no more: derived from what it does, or kept in a file beside it.

`azd down` takes every output of the infrastructure out of azd's environment. What is needed afterwards, names alone and
no secret, is therefore written to `.azure/<environment>/deployment.json` while it is still known.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ops.documents import part
from ops.environment import (
    APP_UNIQUE_NAME,
    AUTHORITY,
    CLIENT_ID,
    CLOUD,
    DIRECTORY,
    ENTRA_TENANT,
    ENVIRONMENT_NAME,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    TENANT,
    VAULT_ID,
    VAULT_NAME,
    azd_folder,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ops.environment import Environment

FILE = "deployment.json"

GROUP_VERSION = "2021-04-01"
"""Of the API for resource groups and what is in them."""

KEPT = (
    CLOUD,
    ENVIRONMENT_NAME,
    TENANT,
    SUBSCRIPTION,
    RESOURCE_GROUP,
    VAULT_NAME,
    CLIENT_ID,
    APP_UNIQUE_NAME,
    ENTRA_TENANT,
    AUTHORITY,
)

GROUP_OF = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/", re.IGNORECASE)


def completed(values: Mapping[str, str]) -> dict[str, str]:
    """With subscription, group and tenant, which are inputs of the infrastructure and hence none of its outputs."""
    derived: dict[str, str] = {}
    if found := GROUP_OF.match(values.get(VAULT_ID.name, "")):
        derived = {SUBSCRIPTION.name: found[1], RESOURCE_GROUP.name: found[2]}
    if tenant := values.get(DIRECTORY.name):
        derived[TENANT.name] = tenant
    return {**derived, **values}


def resource_group(environment: Environment) -> str:
    """The group of the deployment: the name that was set, or the one that the infrastructure gives it; maybe empty."""
    name = environment.get(ENVIRONMENT_NAME)
    return environment.get(RESOURCE_GROUP, f"rg-{name}" if name else "")


def remember(environment: Environment, *, root: Path, name: str | None) -> bool:
    """Writes the file again; False if there is no deployment, or no environment of azd's to write it for."""
    folder = azd_folder(root, name or environment.get(ENVIRONMENT_NAME))
    if folder is None or not environment.has(VAULT_ID):
        return False
    kept = {item.name: environment[item] for item in KEPT if environment.has(item)}
    # In one step: half a file would be none, and these are the only names that are left of the deployment.
    new = folder / f"{FILE}.new"
    new.write_text(f"{json.dumps(kept, indent=2)}\n", "utf-8")
    new.replace(folder / FILE)
    return True


def with_remembered(values: Mapping[str, str], *, root: Path, name: str | None) -> dict[str, str]:
    """With what the file says, where azd has forgotten the deployment and works in no other subscription by now."""
    if VAULT_ID.name in values:
        return dict(values)
    saved = _read(root, name or values.get(ENVIRONMENT_NAME.name))
    if values.get(SUBSCRIPTION.name, saved.get(SUBSCRIPTION.name)) != saved.get(SUBSCRIPTION.name):
        return dict(values)
    return {**saved, **values}


def _read(root: Path, name: str | None) -> dict[str, str]:
    folder = azd_folder(root, name)
    try:
        found = part(json.loads((folder / FILE).read_text("utf-8"))) if folder else {}
    except (OSError, ValueError):
        return {}
    return {item.name: found[item.name] for item in KEPT if isinstance(found.get(item.name), str)}
