"""What the examinations work on: the app, its settings, its registration, its secrets, read once."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from entra_mcp.urls import is_loopback
from ops.deployment import GROUP_VERSION
from ops.documents import part
from ops.environment import (
    AUTH_MODE,
    BASE_URL,
    CLIENT_ID,
    DEFAULT_ADDITIONAL_SCOPES,
    DEFAULT_AUTH_MODE,
    DEFAULT_SCOPES,
    DEFAULT_TABLE,
    FUNCTION_APP,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    VAULT_ID,
    words_of,
)

if TYPE_CHECKING:
    from ops.command import Context
    from ops.graph import Application

SITE_VERSION = "2024-04-01"


@dataclass(kw_only=True)
class Facts:
    """One server. What is not known is empty."""

    base_url: str
    settings: dict[str, str] = field(default_factory=dict[str, str])
    """App settings, without those that Azure adds by itself."""
    site: dict[str, Any] = field(default_factory=dict[str, Any])
    application: Application | None = None

    @property
    def client_id(self) -> str:
        return self.settings.get("ENTRA_CLIENT_ID", "")

    @property
    def auth_mode(self) -> str:
        return self.settings.get("AUTH_MODE") or DEFAULT_AUTH_MODE

    @property
    def table_name(self) -> str:
        return self.settings.get("MCP_TABLE_NAME") or DEFAULT_TABLE

    @property
    def required_scopes(self) -> list[str]:
        return words_of(self.settings.get("ENTRA_REQUIRED_SCOPES") or DEFAULT_SCOPES)

    @property
    def own_scopes(self) -> list[str]:
        """What people may be asked for of the registration itself, those that every call needs first."""
        return [*self.required_scopes, *words_of(self.settings.get("ENTRA_OPTIONAL_SCOPES") or "")]

    @property
    def additional_scopes(self) -> list[str]:
        return words_of(self.settings.get("ENTRA_ADDITIONAL_SCOPES") or DEFAULT_ADDITIONAL_SCOPES)

    @property
    def identities(self) -> list[dict[str, Any]]:
        """The managed identities of the app, each with its client and principal id."""
        return [value for value in part(self.site, "identity", "userAssignedIdentities").values() if value]

    @property
    def identity(self) -> dict[str, Any] | None:
        """The one that the settings name."""
        client_id = self.settings.get("AZURE_CLIENT_ID", "")
        return next((one for one in self.identities if one.get("clientId") == client_id), None)

    @property
    def signs_in_at_a_stand_in(self) -> bool:
        """Whether Entra ID is this machine, as in the local run."""
        return is_loopback(f"//{self.settings.get('ENTRA_AUTHORITY', '')}")


def group_path(context: Context) -> str:
    """The id of the deployment's resource group."""
    return f"/subscriptions/{context.environment[SUBSCRIPTION]}/resourceGroups/{context.environment[RESOURCE_GROUP]}"


def site_path(context: Context) -> str:
    """The id of the function app."""
    return f"{group_path(context)}/providers/Microsoft.Web/sites/{context.environment[FUNCTION_APP]}"


def app_options(context: Context) -> str:
    """What commands of the Azure CLI name the function app with."""
    name, group = context.environment.get(FUNCTION_APP), context.environment.get(RESOURCE_GROUP)
    return f"--name {shlex.quote(name)} --resource-group {shlex.quote(group)}"


def deployed_facts(context: Context) -> Facts:
    """Reads the deployed app and its settings.

    Raises:
        ApiError: there is no such app, or it may not be looked at.
    """
    context.environment.require(SUBSCRIPTION, RESOURCE_GROUP, FUNCTION_APP, VAULT_ID, CLIENT_ID)
    site = context.services.arm.get(site_path(context), **{"api-version": SITE_VERSION})
    settings = deployed_settings(context)
    host = str(part(site, "properties").get("defaultHostName") or "")
    base_url = settings.get("MCP_BASE_URL") or context.environment.get(BASE_URL) or f"https://{host}"
    return Facts(base_url=base_url.rstrip("/"), settings=settings, site=site)


def deployed_settings(context: Context) -> dict[str, str]:
    """The app settings as Azure has them."""
    context.environment.require(SUBSCRIPTION, RESOURCE_GROUP, FUNCTION_APP)
    path = f"{site_path(context)}/config/appsettings/list"
    answer = context.services.arm.request("POST", path, parameters={"api-version": SITE_VERSION})
    return {name: str(value) for name, value in part(answer.document, "properties").items()}


def auth_mode_of(context: Context) -> str:
    """How people sign in: what was said, else what the app has. The variable need not be in azd's environment."""
    environment = context.environment
    if environment.has(AUTH_MODE) or not environment.has(FUNCTION_APP):
        return environment.get(AUTH_MODE, DEFAULT_AUTH_MODE)
    return Facts(base_url="", settings=deployed_settings(context)).auth_mode


def resources_of_type(context: Context, kind: str) -> list[str]:
    """The ids of the resources of this type in the deployment's resource group."""
    path = f"{group_path(context)}/resources"
    filters = {"api-version": GROUP_VERSION, "$filter": f"resourceType eq '{kind}'"}
    return [str(one["id"]) for one in context.services.arm.pages(path, **filters)]
