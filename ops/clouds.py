"""Where the services are, in each of Azure's clouds.

Threat: tokens of the person who runs a command go to these addresses, so each is https, or this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ops.environment import ARM_URL, AUTHORITY, CLOUD, GRAPH_URL, LOGS_URL
from ops.errors import BadInputError

if TYPE_CHECKING:
    from ops.environment import Environment, Input


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


PUBLIC = Cloud(
    authority="login.microsoftonline.com",
    graph="https://graph.microsoft.com",
    graph_scope="https://graph.microsoft.com/.default",
    exchange_audience="api://AzureADTokenExchange",
    arm="https://management.azure.com",
    arm_scope="https://management.azure.com/.default",
    vault_suffix="vault.azure.net",
    storage_suffix="core.windows.net",
    vault_scope="https://vault.azure.net/.default",
    logs="https://api.loganalytics.io",
    logs_scope="https://api.loganalytics.io/.default",
)
US_GOVERNMENT = Cloud(
    authority="login.microsoftonline.us",
    graph="https://graph.microsoft.us",
    graph_scope="https://graph.microsoft.us/.default",
    exchange_audience="api://AzureADTokenExchangeUSGov",
    arm="https://management.usgovcloudapi.net",
    arm_scope="https://management.usgovcloudapi.net/.default",
    vault_suffix="vault.usgovcloudapi.net",
    storage_suffix="core.usgovcloudapi.net",
    vault_scope="https://vault.usgovcloudapi.net/.default",
    logs="https://api.loganalytics.us",
    logs_scope="https://api.loganalytics.us/.default",
)
CHINA = Cloud(
    authority="login.partner.microsoftonline.cn",
    graph="https://microsoftgraph.chinacloudapi.cn",
    graph_scope="https://microsoftgraph.chinacloudapi.cn/.default",
    exchange_audience="api://AzureADTokenExchangeChina",
    arm="https://management.chinacloudapi.cn",
    arm_scope="https://management.chinacloudapi.cn/.default",
    vault_suffix="vault.azure.cn",
    storage_suffix="core.chinacloudapi.cn",
    vault_scope="https://vault.azure.cn/.default",
    logs="https://api.loganalytics.azure.cn",
    logs_scope="https://api.loganalytics.azure.cn/.default",
)
NAMED = {"AzureCloud": PUBLIC, "AzureUSGovernment": US_GOVERNMENT, "AzureChinaCloud": CHINA}
"""By the names that Azure Resource Manager and `infra/clouds.json` have for them."""

SOVEREIGN = {cloud.authority: cloud for cloud in (US_GOVERNMENT, CHINA)} | {"login.chinacloudapi.cn": CHINA}


def cloud_of(environment: Environment) -> Cloud:
    """The cloud of the sign-in service's host, else of the deployment, with the addresses that the inputs change.

    Raises:
        BadInputError: there is no such cloud, or an address is neither https nor on loopback.
    """
    named = NAMED.get(environment.get(CLOUD, "AzureCloud"))
    if named is None:
        raise BadInputError(CLOUD.name, f"is none of {', '.join(NAMED)}")
    authority = environment.get(AUTHORITY, named.authority).lower()
    cloud = SOVEREIGN.get(authority, PUBLIC)
    return replace(
        cloud,
        authority=authority,
        graph=_address(environment, GRAPH_URL, cloud.graph),
        arm=_address(environment, ARM_URL, cloud.arm),
        logs=_address(environment, LOGS_URL, cloud.logs),
    )


def _address(environment: Environment, item: Input, default: str) -> str:
    return checked_address(item.name, environment.get(item, default))


def checked_address(name: str, value: str) -> str:
    """The address without a trailing slash; BadInputError when it is neither https nor on loopback."""
    parts = urlsplit(value)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise BadInputError(name, "is not an address that begins with https://")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise BadInputError(name, "has to begin with https:// unless the host is on loopback")
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the host name means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
