"""What azd's environment does not say, or says no more: derived from what it does, or kept in a file beside it.

`azd down` takes every output of the infrastructure out of azd's environment. What is needed afterwards, names alone and
no secret, is therefore written to `.azure/<environment>/deployment.json` while it is still known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops import environment as inputs
from ops.documents import read, write

if TYPE_CHECKING:
    from pathlib import Path

    from ops.environment import Environment

FILE = "deployment.json"

GROUP_VERSION = "2021-04-01"
"""Of the API for resource groups and what is in them."""

KEPT = (
    inputs.CLOUD,
    inputs.ENVIRONMENT_NAME,
    inputs.TENANT,
    inputs.SUBSCRIPTION,
    inputs.RESOURCE_GROUP,
    inputs.VAULT_NAME,
    inputs.CLIENT_ID,
    inputs.APP_UNIQUE_NAME,
    inputs.ENTRA_TENANT,
    inputs.AUTHORITY,
)
"""What is written down for the commands that work without azd's values too."""

GROUP_OF = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/", re.IGNORECASE)


def completed(environment: Environment, *, with_group: bool = True) -> Environment:
    """With subscription, group and tenant, which are inputs of the infrastructure and hence none of its outputs."""
    derived = {inputs.TENANT.name: environment.get(inputs.DIRECTORY)}
    if found := GROUP_OF.match(environment.get(inputs.VAULT_ID)):
        derived |= {inputs.SUBSCRIPTION.name: found[1]} | ({inputs.RESOURCE_GROUP.name: found[2]} if with_group else {})
    return environment.with_defaults(derived)


def resource_group(environment: Environment) -> str:
    """The group of the deployment: the name that was set, or the one that the infrastructure gives it; maybe empty."""
    name = environment.get(inputs.ENVIRONMENT_NAME)
    return environment.get(inputs.RESOURCE_GROUP, f"rg-{name}" if name else "")


def remember(environment: Environment, *, root: Path) -> bool:
    """Writes the file again; False if there is no deployment, or no environment of azd's to write it for."""
    folder = inputs.azd_folder(root, environment.get(inputs.ENVIRONMENT_NAME))
    if folder is None or not environment.has(inputs.VAULT_ID):
        return False
    write(folder / FILE, {item.name: environment[item] for item in KEPT if environment.has(item)})
    return True


def with_remembered(environment: Environment, *, root: Path) -> Environment:
    """With what the file says, where azd has forgotten the deployment and works in no other subscription by now."""
    folder = inputs.azd_folder(root, environment.get(inputs.ENVIRONMENT_NAME))
    if folder is None or environment.has(inputs.VAULT_ID):
        return environment
    found = read(folder / FILE)
    saved = {item.name: found[item.name] for item in KEPT if isinstance(found.get(item.name), str)}
    subscription = environment.get(inputs.SUBSCRIPTION)
    if subscription and subscription != saved.get(inputs.SUBSCRIPTION.name):
        return environment
    return environment.with_defaults(saved)
