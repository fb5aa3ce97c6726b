"""What a server on a person's machine needs in a real tenant: a registration, a vault, and the right to read it.

Every name derives from the subscription and the person, so nothing has to be remembered: a run that was killed is
finished by the next, and the undo finds what there is, and nothing of anybody else.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from ops.consent import MICROSOFT_GRAPH, principal_of
from ops.deployment import GROUP_VERSION
from ops.doctor.roles import SECRETS_USER
from ops.documents import entries, part, write
from ops.environment import (
    DEFAULT_ADDITIONAL_SCOPES,
    DEFAULT_SCOPES,
    OPTIONAL_SCOPES,
    REQUIRED_SCOPES,
    Environment,
)
from ops.errors import OpsError
from ops.graph import REPLICATION_WAITS, UNKNOWN_YET, Application, Directory
from ops.leftovers import DeletedVaults
from ops.vault import ARM_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ops.http import Api

ROLES_VERSION = "2022-04-01"
VAULT_WAITS = (2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0, 15.0)
"""Seconds between looks at a vault that is being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is made is called so, for one person in one subscription."""

    subscription: str
    person: str
    """The object id."""

    @property
    def token(self) -> str:
        digest = hashlib.sha256(f"{self.subscription} {self.person}".lower().encode()).digest()
        return b32encode(digest).decode().lower()[:13]

    @property
    def registration(self) -> str:
        return f"mcp-local-{self.token}"

    @property
    def group(self) -> str:
        return f"rg-{self.registration}"

    @property
    def group_id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def vault(self) -> str:
        return f"kv-{self.token}"

    @property
    def vault_id(self) -> str:
        return f"{self.group_id}/providers/Microsoft.KeyVault/vaults/{self.vault}"


class LocalRegistration:
    """The registration of the local server."""

    def __init__(self, directory: Directory, *, names: Names) -> None:
        self._directory = directory
        self._graph = directory.api
        self._names = names

    def find(self) -> Application | None:
        return self._directory.find_application(unique_name=self._names.registration)

    def ensure(
        self, before: Application | None, *, base_url: str, scopes: Sequence[str], permissions: dict[str, str]
    ) -> Application:
        """Creates it, or puts it right as it was found `before`; `permissions` are ids of Microsoft Graph's by name.

        A scope that it has beyond these stays: Entra ID refuses to delete one that is enabled.

        https://learn.microsoft.com/graph/api/application-upsert
        """
        access = [{"id": permissions[name], "type": "Scope"} for name in DEFAULT_ADDITIONAL_SCOPES.split()]
        path = f"/v1.0/applications(uniqueName='{self._names.registration}')"
        had = entries(before.document if before else {}, "api", "oauth2PermissionScopes")
        offered = [*map(self._scope, scopes), *(scope for scope in had if scope.get("value") not in scopes)]
        body: dict[str, Any] = {
            "displayName": "Entra MCP Server (local)",
            "signInAudience": "AzureADMyOrg",
            "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": offered},
            "web": {"redirectUris": [f"{base_url}/auth/callback"]},
            "requiredResourceAccess": [{"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": access}],
        }
        self._graph.request("PATCH", path, body=body, headers={"Prefer": "create-if-missing"})
        made = self._made()
        own = f"/v1.0/applications/{made.object_id}"
        # A replica that has not heard of the registration says so with either status.
        unknown = {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
        identifier = {"identifierUris": [f"api://{made.client_id}"]}
        self._directory.patiently("PATCH", own, body=identifier, unknown=unknown)
        if principal_of(self._graph, made.client_id) is None:
            principal = {"appId": made.client_id}
            self._directory.patiently("POST", "/v1.0/servicePrincipals", body=principal, unknown=unknown)
        return self._directory.application(made.object_id)

    def remove(self) -> bool:
        """Deletes it for good; False where there was none.

        Raises:
            OpsError: it was deleted, and is not listed among the deleted ones yet.
        """
        found = self.find()
        if found is not None and not self._directory.delete_application(found):
            found = None
        deleted = self._directory.deleted_applications(found, unique_name=self._names.registration)
        for application in deleted:
            self._directory.purge_application(application)
        if found is not None and found.object_id not in {one.object_id for one in deleted}:
            raise OpsError("The registration was deleted, but cannot be deleted for good yet. Run the command again.")
        return bool(deleted)

    def _made(self) -> Application:
        made = self._graph.patience.until(self.find, bool, waits=REPLICATION_WAITS, why=UNKNOWN_YET)
        if made is None:
            raise OpsError("The registration was made, but is not known everywhere yet. Run the command again.")
        return made

    def _scope(self, name: str) -> dict[str, Any]:
        text = "Allows an assistant to use the local server as you."
        return {
            "id": str(uuid5(NAMESPACE_URL, f"{self._names.registration}/{name}")),
            "value": name,
            "type": "User",
            "isEnabled": True,
            "adminConsentDisplayName": "Use the local server",
            "adminConsentDescription": text,
            "userConsentDisplayName": "Use the local server",
            "userConsentDescription": text,
        }


class LocalVault:
    """The vault of the local server, in a resource group of its own."""

    def __init__(self, arm: Api, *, names: Names) -> None:
        self._arm = arm
        self._names = names
        self._deleted = DeletedVaults(arm, subscription=names.subscription)

    def ensure(self, *, tenant: str, location: str, kind: str, tags: dict[str, str]) -> None:
        """Creates group and vault, with the tags, and lets the person, a principal of this kind, read its secrets.

        Raises:
            OpsError: the vault was deleted, and can be recovered.
        """
        names = self._names
        if self._arm.find(names.vault_id, **{"api-version": ARM_VERSION}) is None:
            deleted = self._deleted.named(names.vault)
            if deleted is not None:
                raise OpsError(f"{names.vault} was deleted. Get it back, then run this again:\n{deleted.recovery}")
            body = {"location": location, "tags": tags}
            self._put(names.group_id, GROUP_VERSION, body)
            self._put(names.vault_id, ARM_VERSION, {**body, "properties": _properties(tenant)})
            self._wait()
        role = f"/subscriptions/{names.subscription}/providers/Microsoft.Authorization/roleDefinitions/{SECRETS_USER}"
        properties = {"roleDefinitionId": role, "principalId": names.person, "principalType": kind}
        assignment = uuid5(NAMESPACE_URL, f"{names.vault_id}/{names.person}")
        path = f"{names.vault_id}/providers/Microsoft.Authorization/roleAssignments/{assignment}"
        self._put(path, ROLES_VERSION, {"properties": properties}, accept={HTTPStatus.CONFLICT})

    def remove(self) -> bool:
        """Deletes the vault for good, and the group if it holds nothing else; False where there was nothing."""
        names = self._names
        gone = self._delete(names.vault_id, ARM_VERSION)
        deleted = self._deleted.named(names.vault)
        if deleted is not None and deleted.was_in(names.group):
            gone = self._deleted.purge(deleted) or gone
        if self._arm.find(names.group_id, **{"api-version": GROUP_VERSION}) is None:
            return gone
        if list(self._arm.pages(f"{names.group_id}/resources", **{"api-version": GROUP_VERSION})):
            raise OpsError(
                f"{names.group} holds what this command did not make, so the group stays. Delete it by hand."
            )
        return self._delete(names.group_id, GROUP_VERSION) or gone

    def _wait(self) -> None:
        if not self._arm.patience.until(self._is_made, bool, waits=VAULT_WAITS, why="the vault is being made"):
            raise OpsError(f"{self._names.vault} is still being made. Run the command again in a minute.")

    def _is_made(self) -> bool:
        found = self._arm.get(self._names.vault_id, **{"api-version": ARM_VERSION})
        return found["properties"].get("provisioningState", "Succeeded") == "Succeeded"

    def _put(self, path: str, version: str, body: dict[str, Any], *, accept: set[HTTPStatus] | None = None) -> None:
        self._arm.request("PUT", path, parameters={"api-version": version}, body=body, accept=accept or ())

    def _delete(self, path: str, version: str) -> bool:
        answer = self._arm.request(
            "DELETE", path, parameters={"api-version": version}, accept={HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT}
        )
        return answer.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT}


def _properties(tenant: str) -> dict[str, Any]:
    return {
        "tenantId": tenant,
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": 7,
    }


STAND_INS = frozenset(
    {
        "ENTRA_AUTHORITY",
        "ENTRA_AUTHORIZATION_ENDPOINT",
        "GRAPH_BASE_URL",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "AZURE_CLIENT_ID",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
    }
)
"""Settings of the sample that lead to the stand-ins, whatever their value is."""

ANOTHERS = frozenset({"ENTRA_IDENTIFIER_URI", "ENTRA_ALLOWED_TENANTS"})
"""Settings of a sample that say what another registration is like; the one that is made here is not."""

STAND_IN_URL = "https://127.0.0.1:"
"""How the addresses of the stand-ins begin; those of an app's own settings are left out by it."""


class LocalSettings:
    """local.settings.json, which is a person's own: it is replaced and removed only where it names the registration."""

    def __init__(self, root: Path) -> None:
        self._file = root / "local.settings.json"
        self._sample: dict[str, Any] = json.loads((root / "local.settings.sample.json").read_text("utf-8"))

    @property
    def base_url(self) -> str:
        return str(self._sample["Values"]["MCP_BASE_URL"])

    @property
    def scopes(self) -> list[str]:
        """Those of the sample, each once: what every call needs, and what single tools need."""
        sample = Environment(self._sample["Values"])
        return list(dict.fromkeys([*sample.words(REQUIRED_SCOPES, DEFAULT_SCOPES), *sample.words(OPTIONAL_SCOPES)]))

    def belongs_to(self, client_id: str) -> bool:
        """Whether the file names this registration; False where it is missing.

        Raises:
            OpsError: nobody knows, for it cannot be read.
        """
        try:
            values = part(json.loads(self._file.read_text("utf-8")), "Values")
        except (FileNotFoundError, ValueError):
            return False
        except OSError as error:
            raise OpsError(
                f"local.settings.json cannot be read ({type(error).__name__}). Move it away, then run this again."
            ) from error
        return bool(client_id) and values.get("ENTRA_CLIENT_ID") == client_id

    def refuse_anothers(self, client_id: str) -> None:
        """Raises OpsError where the file is there and is about something else."""
        if self._file.exists() and not self.belongs_to(client_id):
            raise OpsError(
                "local.settings.json is there and names another registration. Move it away, then run this again."
            )

    def write(self, values: dict[str, str]) -> None:
        kept = {
            name: value
            for name, value in self._sample["Values"].items()
            if name not in STAND_INS | ANOTHERS and not str(value).startswith(STAND_IN_URL)
        }
        write(self._file, {**self._sample, "Values": {**kept, **values}})

    def remove(self) -> None:
        self._file.unlink()
