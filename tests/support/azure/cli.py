"""The Azure CLI as far as findings name it: what a remedy says is done, to the stand-ins."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import httpx2

from ops.clouds import PUBLIC
from tests.support.azure.cloud import FakeCredential
from tests.support.azure.world import SUBSCRIPTION, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.azure.cloud import CloudStandIn
    from tests.support.azure.world import World

Options = dict[str, str]


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

    _COMMANDS: dict[str, Callable[[AzureCli, Options], None]] = {  # noqa: RUF012 - filled once, here
        "rest": _rest,
        "group create": _group_create,
        "keyvault recover": _vault_recover,
        "keyvault purge": _vault_purge,
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
