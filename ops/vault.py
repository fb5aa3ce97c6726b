"""Key Vault's secrets: written through Azure Resource Manager, which never gives a value away; versions are listed and
disabled at the vault itself, since Resource Manager knows the newest alone.

https://learn.microsoft.com/rest/api/keyvault/secrets
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.documents import part
from ops.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from ops.http import Api

CLIENT_SECRET = "entra-client-secret"  # noqa: S105 - the name of the secret in the vault
SIGNING_KEY = "jwt-signing-key"
PLACEHOLDER = "replaced by the postprovision hook"
"""Content type of the value that the infrastructure puts in so that roles have something to apply to."""

ARM_VERSION = "2023-07-01"
"""Of Azure Resource Manager's API for vaults, deleted ones too."""

DATA_VERSION = "7.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a secret, without its value."""

    uri: str
    enabled: bool
    created: datetime
    updated: datetime
    expires: datetime | None
    content_type: str
    tags: Mapping[str, str]

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return self.uri.rstrip("/").rsplit("/", 1)[-1]

    @property
    def vault_url(self) -> str:
        """The vault's own address."""
        parts = urlsplit(self.uri)
        return f"{parts.scheme}://{parts.netloc}"


class VaultResource:
    """The vault as a resource: what a deployment may do without any role inside the vault."""

    def __init__(self, arm: Api, *, vault_id: str) -> None:
        self._arm = arm
        self.vault_id = vault_id.rstrip("/")

    @property
    def name(self) -> str:
        return self.vault_id.rsplit("/", 1)[-1]

    def find(self, name: str) -> Version | None:
        """The newest version of the secret, or None when the vault has no such secret.

        Raises:
            ApiError: there is no such vault, or it may not be looked at.
        """
        document = self._arm.find(self._path(name), **{"api-version": ARM_VERSION})
        if document is None:
            # A missing vault has the same status, and must not be taken for an empty one.
            self._arm.get(self.vault_id, **{"api-version": ARM_VERSION})
            return None
        return _from_arm(document)

    def put(
        self, name: str, value: SecretStr, *, content_type: str, tags: Mapping[str, str], expires: datetime | None
    ) -> Version:
        """Adds a version, which is the newest from now on."""
        attributes: dict[str, Any] = {"enabled": True}
        if expires is not None:
            attributes["exp"] = int(expires.timestamp())
        document = self._arm.request(
            "PUT",
            self._path(name),
            parameters={"api-version": ARM_VERSION},
            body={
                "tags": dict(tags),
                "properties": {
                    "value": value.get_secret_value(),
                    "contentType": content_type,
                    "attributes": attributes,
                },
            },
            remedies={
                HTTPStatus.CONFLICT: "If the secret was deleted, get it back and run the command again: "
                f"`az keyvault secret recover --vault-name {self.name} --name {name}`."
            },
        ).document
        return _from_arm(document)

    def _path(self, name: str) -> str:
        return f"{self.vault_id}/secrets/{name}"


class VaultItself:
    """The vault's own API, for which a person needs a role inside the vault. No value is ever asked for."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def versions(self, name: str) -> list[Version]:
        """All versions of the secret, disabled ones included, in no particular order."""
        found = self._api.pages(f"/secrets/{name}/versions", **{"api-version": DATA_VERSION})
        return [_version(document["id"], document) for document in found]

    def disable(self, name: str, version: Version) -> None:
        """Disables a version of the secret; it can be enabled again."""
        self._api.request(
            "PATCH",
            f"/secrets/{name}/{version.id}",
            parameters={"api-version": DATA_VERSION},
            body={"attributes": {"enabled": False}},
        )

    def now(self, name: str) -> datetime:
        """The vault's own clock: this machine's may be wrong, and a key that is disabled too early ends sign-ins."""
        path = f"/secrets/{name}/versions"
        answer = self._api.request("GET", path, parameters={"api-version": DATA_VERSION, "maxresults": "1"})
        if answer.date is None:
            raise ApiError(
                service=self._api.service,
                request=f"GET {path}",
                status=answer.status,
                text="the answer has no date",
                remedy="Is there a proxy between? It has to pass the header Date on.",
            )
        return answer.date


def _from_arm(document: dict[str, Any]) -> Version:
    properties = document["properties"]
    # The vault itself has the tags beside the other properties.
    uri = properties.get("secretUriWithVersion") or properties["secretUri"]
    return _version(uri, {**properties, "tags": document.get("tags")})


def _version(uri: str, properties: dict[str, Any]) -> Version:
    attributes = part(properties, "attributes")
    created = _moment(attributes.get("created", 0))
    return Version(
        uri=uri,
        enabled=bool(attributes.get("enabled", True)),
        created=created,
        updated=_moment(attributes["updated"]) if attributes.get("updated") else created,
        expires=_moment(attributes["exp"]) if attributes.get("exp") else None,
        content_type=properties.get("contentType") or "",
        tags=properties.get("tags") or {},
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
