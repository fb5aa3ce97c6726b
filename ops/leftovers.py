"""What a deployment that was taken down leaves behind: a deleted registration and a deleted vault keep their names.

Both can be restored for a while, and until then block a deployment under the same names.

Threat: purging another project's vault destroys what only that vault holds. A tag or the form of a name is no proof of
whose it is, so a vault is purged by its name alone, and only where it was in this deployment's resource group.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ops.errors import ApiError
from ops.vault import ARM_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.http import Api
    from ops.report import Report

ENVIRONMENT_TAG = "azd-env-name"
NAME = re.compile(r"kv-[a-z2-7]{13}")
"""What infra/main.bicep calls a vault: the template function uniqueString gives 13 digits of base 32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedVault:
    """A vault that can still be recovered."""

    name: str
    location: str
    protected: bool
    """Whether it cannot be purged."""
    gone_on: str
    """When the service purges it by itself, as it writes dates."""
    tags: dict[str, str]
    vault_id: str

    @property
    def group(self) -> str:
        """The resource group that it was in, and that it comes back to."""
        found = re.search(r"/resourceGroups/([^/]+)/", self.vault_id, re.IGNORECASE)
        return found[1] if found else ""

    @property
    def recovery(self) -> str:
        """The commands that get it back. `azd down` deleted its resource group, which has to be there first."""
        location = shlex.quote(self.location)
        return (
            f"az group create --name {shlex.quote(self.group)} --location {location}\n"
            f"az keyvault recover --name {shlex.quote(self.name)} --location {location}"
        )

    def was_in(self, group: str) -> bool:
        return self.group.lower() == group.lower()


class DeletedVaults:
    """The deleted vaults of a subscription."""

    def __init__(self, arm: Api, *, subscription: str) -> None:
        self._arm = arm
        self._base = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault"

    def named(self, name: str) -> DeletedVault | None:
        """The one of this name; names are unique in all of Azure."""
        return next((vault for vault in self._all() if vault.name == name), None)

    def similar(self, *, group: str, environment: str) -> list[DeletedVault]:
        """Those that look like one of this deployment, for a person to judge."""
        return [
            vault
            for vault in self._all()
            if vault.was_in(group) and NAME.fullmatch(vault.name) and vault.tags.get(ENVIRONMENT_TAG) == environment
        ]

    def purge(self, vault: DeletedVault) -> bool:
        """Purges it; False when it is gone already.

        Raises:
            ApiError: it is protected, or the account may not.
        """
        path = f"{self._base}/locations/{vault.location}/deletedVaults/{vault.name}/purge"
        answer = self._arm.request("POST", path, parameters={"api-version": ARM_VERSION}, accept={HTTPStatus.NOT_FOUND})
        return answer.status != HTTPStatus.NOT_FOUND

    def _all(self) -> Iterator[DeletedVault]:
        return map(_vault, self._arm.pages(f"{self._base}/deletedVaults", **{"api-version": ARM_VERSION}))


def living_vault(arm: Api, name: str, *, subscription: str) -> str:
    """The id of the vault of this name that is not deleted; empty where the subscription has none."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault/vaults"
    vaults = arm.pages(path, **{"api-version": ARM_VERSION})
    return next((str(vault["id"]) for vault in vaults if str(vault["name"]).lower() == name.lower()), "")


def unless_refused(report: Report, remove: Callable[[], int], *, command: str) -> int:
    """What `remove` gives. A person who may not list or purge what is deleted sees who may, and the rest goes on.

    https://learn.microsoft.com/graph/api/directory-deleteditems-delete
    """
    try:
        return remove()
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN or "/deletedItems/" not in error.request:
            raise  # of a registration that is not deleted yet, too
        report.finding(
            "registration",
            f"this account may not look for it among the deleted ones, or delete it for good: {error.code}",
            remedy=f"with the role Cloud Application Administrator: {command}\n"
            "or wait: Entra ID deletes it for good 30 days after its deletion",
        )
        return 1


def _vault(document: dict[str, Any]) -> DeletedVault:
    properties = document["properties"]
    return DeletedVault(
        name=document["name"],
        location=properties["location"],
        protected=bool(properties.get("purgeProtectionEnabled")),
        gone_on=str(properties.get("scheduledPurgeDate") or "")[:10],
        tags=properties.get("tags") or {},
        vault_id=properties.get("vaultId") or "",
    )
