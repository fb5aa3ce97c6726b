"""Where the services are, in each of Azure's clouds.

Threat: tokens of the person who runs a command go to these addresses, so each is https, or this machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from entra_mcp.urls import require_https
from ops.environment import ARM_URL, AUTHORITY, CLOUD, GRAPH_URL, LOGS_URL, Environment, Input
from ops.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOUDS = Path(__file__).parents[1] / "infra" / "clouds.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Addresses without a trailing slash, and the scope of the tokens that each service takes."""

    authority: str
    graph: str
    graph_scope: str
    exchange_audience: str
    """Audience of the managed identity's tokens that Entra ID takes in place of a client secret."""
    arm: str
    arm_scope: str
    vault_suffix: str
    storage_suffix: str
    vault_scope: str
    logs: str
    logs_scope: str


def _cloud(names: Mapping[str, str]) -> Cloud:
    return Cloud(
        authority=names["authority"],
        graph=names["graph"],
        graph_scope=f"{names['graph']}/.default",
        exchange_audience=names["tokenExchange"],
        arm=names["arm"],
        arm_scope=f"{names['arm']}/.default",
        vault_suffix=names["vaultSuffix"],
        storage_suffix=names["storageSuffix"],
        vault_scope=f"https://{names['vaultSuffix']}/.default",
        logs=names["logs"],
        logs_scope=f"{names['logs']}/.default",
    )


_names: dict[str, dict[str, dict[str, str]]] = json.loads(CLOUDS.read_text("utf-8"))

NAMED: Mapping[str, Cloud] = {name: _cloud(entra | _names["azure"][name]) for name, entra in _names["entra"].items()}
"""By the names that Azure Resource Manager has for them."""

PUBLIC, CHINA = NAMED["AzureCloud"], NAMED["AzureChinaCloud"]

BY_AUTHORITY = {cloud.authority: cloud for cloud in NAMED.values()} | {"login.chinacloudapi.cn": CHINA}


def cloud_of(environment: Environment) -> Cloud:
    """The cloud of the sign-in service's host, else of the deployment, with the addresses that the inputs change.

    Raises:
        BadInputError: there is no such cloud, or an address is neither https nor on loopback.
    """
    named = NAMED.get(environment.get(CLOUD, "AzureCloud"))
    if named is None:
        raise BadInputError(CLOUD.name, f"is none of {', '.join(NAMED)}")
    authority = environment.get(AUTHORITY, named.authority).lower()
    cloud = BY_AUTHORITY.get(authority, PUBLIC)
    return replace(
        cloud,
        authority=authority,
        graph=address_of(environment, GRAPH_URL, cloud.graph),
        arm=address_of(environment, ARM_URL, cloud.arm),
        logs=address_of(environment, LOGS_URL, cloud.logs),
    )


def address_of(environment: Environment, item: Input, default: str) -> str:
    """The address of the input, or the default; as `checked_address`."""
    return checked_address(item.name, environment.get(item, default))


def checked_address(name: str, value: str) -> str:
    """The address without a trailing slash; BadInputError when it is neither https nor on loopback."""
    try:
        return require_https(value).rstrip("/")
    except ValueError as error:
        raise BadInputError(name, str(error)) from None
