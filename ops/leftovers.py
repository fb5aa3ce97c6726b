"""What a deployment that was taken down leaves behind: a deleted registration and a deleted vault keep their names.

Both can be restored for a while, and until then block a deployment under the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.graph import Application, Directory
    from ops.http import Api

VAULT_VERSION = "2023-07-01"
ENVIRONMENT_TAG = "azd-env-name"


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


class DeletedVaults:
    """The deleted vaults of a subscription."""

    def __init__(self, arm: Api, *, subscription: str) -> None:
        self._arm = arm
        self._base = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault"

    def of(self, *, name: str, environment: str) -> Iterator[DeletedVault]:
        """Those of this name, or, while no name is known, those that azd tagged with this environment."""
        for document in self._arm.pages(f"{self._base}/deletedVaults", **{"api-version": VAULT_VERSION}):
            vault = _vault(document)
            if vault.name == name or (not name and environment and vault.tags.get(ENVIRONMENT_TAG) == environment):
                yield vault

    def purge(self, vault: DeletedVault) -> bool:
        """Purges it; False when it is gone already.

        Raises:
            ApiError: it is protected, or the account may not.
        """
        path = f"{self._base}/locations/{vault.location}/deletedVaults/{vault.name}/purge"
        answer = self._arm.request(
            "POST", path, parameters={"api-version": VAULT_VERSION}, accept={HTTPStatus.NOT_FOUND}
        )
        return answer.status != HTTPStatus.NOT_FOUND


def deleted_applications(directory: Directory, *, client_id: str, unique_name: str) -> Iterator[Application]:
    """The deleted registrations with this client id or unique name."""
    for application in directory.deleted_applications():
        if (client_id and application.client_id == client_id) or (
            unique_name and application.unique_name == unique_name
        ):
            yield application


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
