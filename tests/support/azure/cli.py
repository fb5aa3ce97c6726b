"""The Azure CLI as far as findings name it: what a remedy says is done, to the stand-ins."""

from __future__ import annotations

import json
import shlex
import uuid
from typing import TYPE_CHECKING, Any

import httpx2

from ops.clouds import PUBLIC
from ops.doctor.roles import NAMES
from tests.support.azure.cloud import CloudStandIn, FakeCredential
from tests.support.azure.deployment import assignment
from tests.support.azure.world import (
    CLIENT_ID,
    ENTERPRISE_ID,
    GROUP,
    PRINCIPAL_ID,
    SITE,
    SITE_ID,
    SUBSCRIPTION,
    TENANT,
    VAULT,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Options = dict[str, str]

ACTIONS = {
    "Contributor": ["*"],
    "Role Based Access Control Administrator": ["Microsoft.Authorization/roleAssignments/write"],
    "User Access Administrator": ["Microsoft.Authorization/*"],
    "Log Analytics Contributor": ["Microsoft.OperationalInsights/*"],
    "Network Contributor": ["Microsoft.Network/*"],
    "Private DNS Zone Contributor": ["Microsoft.Network/privateDnsZones/*"],
}


class AzureCliError(Exception):
    """What az would end with."""


class AzureCli:
    """`az` of somebody who may do everything."""

    def __init__(self, cloud: CloudStandIn) -> None:
        self._cloud = cloud

    @property
    def world(self) -> World:
        return self._cloud.world

    def __call__(self, command: str) -> None:
        """Runs one command line that begins with `az`."""
        words = shlex.split(command)
        assert words.pop(0) == "az", command
        place = next(number for number, word in enumerate(words) if word.startswith("--"))
        self._COMMANDS[" ".join(words[:place])](self, _options(words[place:]))

    def _rest(self, options: Options) -> None:
        url = options["url"]
        assert url.startswith(self._cloud.url), f"the token would go to {url}"
        scope = PUBLIC.graph_scope if "/graph/" in url else PUBLIC.arm_scope
        headers = {"Authorization": f"Bearer {FakeCredential(TENANT).get_token(scope).token}"}
        body = json.loads(options["body"]) if "body" in options else None
        answer = httpx2.request(options.get("method", "GET"), url, json=body, headers=headers)
        if answer.is_error:
            raise AzureCliError(answer.text)

    def _group_create(self, options: Options) -> None:
        identifier = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{options['name']}"
        self.world.resources[identifier.lower()] = {"id": identifier, "location": options["location"]}

    def _vault_recover(self, options: Options) -> None:
        found = self._deleted(options)
        identifier: str = found["properties"]["vaultId"]
        if identifier.lower().partition("/providers/")[0] not in self.world.resources:
            raise AzureCliError("(ResourceGroupNotFound) Resource group could not be found.")
        self.world.resources[identifier.lower()] = {"id": identifier, "type": "Microsoft.KeyVault/vaults"}
        del self.world.deleted_vaults[options["name"]]

    def _vault_purge(self, options: Options) -> None:
        if self._deleted(options)["properties"].get("purgeProtectionEnabled"):
            raise AzureCliError("(MethodNotAllowed) Operation 'DeletedVaultPurge' is not allowed.")
        del self.world.deleted_vaults[options["name"]]

    def _deleted(self, options: Options) -> dict[str, Any]:
        found = self.world.deleted_vaults.get(options["name"])
        if found is None or found["properties"]["location"] != options["location"]:
            raise AzureCliError("(DeletedVaultNotFound) The specified deleted vault does not exist.")
        return found

    def _principal_create(self, options: Options) -> None:
        if "/" in options["id"]:
            raise AzureCliError("It resolves a URI among the applications of this directory only.")
        identifier = ENTERPRISE_ID if options["id"] == CLIENT_ID else uuid.uuid4().hex
        self.world.principals[options["id"]] = {"id": identifier, "accountEnabled": True}

    def _principal_update(self, options: Options) -> None:
        name, _, value = options["set"].partition("=")
        self.world.principals[options["id"]][name] = json.loads(value)

    def _federated_credential(self, options: Options) -> None:
        assert options["id"] == CLIENT_ID
        held, asked = self.world.federated_credentials, json.loads(options["parameters"])
        if any(one["name"] == asked["name"] for one in held):
            raise AzureCliError("FederatedIdentityCredential with name already exists.")
        self._set_credential({"id": uuid.uuid4().hex}, asked)

    def _federated_credential_update(self, options: Options) -> None:
        assert options["id"] == CLIENT_ID
        (found,) = [one for one in self.world.federated_credentials if one["id"] == options["federated-credential-id"]]
        asked = json.loads(options["parameters"])
        assert "name" not in asked, "a name cannot be changed"
        self.world.federated_credentials.remove(found)
        self._set_credential(found, asked)

    def _set_credential(self, credential: dict[str, Any], asked: dict[str, Any]) -> None:
        if any(
            one["issuer"] == asked["issuer"] and one["subject"] == asked["subject"]
            for one in self.world.federated_credentials
        ):
            raise AzureCliError("FederatedIdentityCredential with issuer and subject already exists.")
        self.world.federated_credentials.append(credential | asked)

    def _site(self, options: Options) -> dict[str, Any]:
        assert (options["name"], options["resource-group"]) == (SITE, GROUP)
        return self.world.resources[SITE_ID.lower()]["properties"]

    def _app_start(self, options: Options) -> None:
        self._site(options)["state"] = "Running"

    def _app_restart(self, options: Options) -> None:
        assert self._site(options)["state"] == "Running"

    def _app_update(self, options: Options) -> None:
        name, _, value = options["set"].partition("=")
        self._site(options)[name] = json.loads(value)

    def _app_settings(self, options: Options) -> None:
        name, _, value = options["settings"].partition("=")
        assert self._site(options)
        self.world.app_settings[name] = value

    def _role(self, options: Options) -> None:
        if "assignee-object-id" not in options:
            granted = self.world.permissions_on.get(options["scope"], self.world.permissions)
            granted.append({"actions": ACTIONS[options["role"]], "notActions": []})
            return
        assert options["assignee-object-id"] == PRINCIPAL_ID
        role = next(role for role, name in NAMES.items() if name == options["role"])
        self.world.role_assignments.append(assignment(role, options["scope"]))

    def _secret_attributes(self, options: Options) -> None:
        assert options["vault-name"] == VAULT
        self.world.secrets[options["name"]][-1].enabled = json.loads(options["enabled"])

    def _provider_register(self, options: Options) -> None:
        self.world.providers[options["namespace"]] = "Registered"

    _COMMANDS: dict[str, Callable[[AzureCli, Options], None]] = {  # noqa: RUF012 - filled once, here
        "rest": _rest,
        "group create": _group_create,
        "keyvault recover": _vault_recover,
        "keyvault purge": _vault_purge,
        "keyvault secret set-attributes": _secret_attributes,
        "ad sp create": _principal_create,
        "ad sp update": _principal_update,
        "ad app federated-credential create": _federated_credential,
        "ad app federated-credential update": _federated_credential_update,
        "functionapp start": _app_start,
        "functionapp restart": _app_restart,
        "functionapp update": _app_update,
        "functionapp config appsettings set": _app_settings,
        "role assignment create": _role,
        "provider register": _provider_register,
    }


def _options(words: list[str]) -> Options:
    """What follows each `--option`, joined."""
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--")
            found[name] = []
        else:
            found[name].append(word)
    return {name: " ".join(values) for name, values in found.items()}
