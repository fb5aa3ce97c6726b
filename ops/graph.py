"""Microsoft Graph as far as registrations go: https://learn.microsoft.com/graph/api/resources/application"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import SecretStr

from ops.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection

    from ops.http import Answer, Api

FIELDS = (
    "id,appId,displayName,uniqueName,createdDateTime,signInAudience,identifierUris,passwordCredentials,api,web,spa,"
    "publicClient,appRoles,groupMembershipClaims,requiredResourceAccess"
)
REPLICATION_WAITS = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Seconds between attempts while a change has not reached every replica of the directory."""

UNKNOWN_YET = "the registration is not known everywhere yet"

YOUNG = timedelta(minutes=10)
"""So long after a registration was made even its owner may be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A client secret as the registration lists it: without its value."""

    key_id: str
    name: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassword:
    """A client secret just created; Graph shows its value only this once."""

    key_id: str
    value: SecretStr
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A registration; `document` is all that Graph has of it."""

    object_id: str
    client_id: str
    name: str
    unique_name: str
    created: datetime | None
    passwords: tuple[Password, ...]
    document: dict[str, Any]

    def password(self, key_id: str) -> Password | None:
        return next((password for password in self.passwords if password.key_id == key_id), None)


class Directory:
    """The registrations of one tenant."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def find_application(self, *, client_id: str = "", unique_name: str = "") -> Application | None:
        """The registration by whichever name is given, or None."""
        key = f"appId='{_segment(client_id)}'" if client_id else f"uniqueName='{_segment(unique_name)}'"
        document = self.api.find(f"/v1.0/applications({key})", **{"$select": FIELDS})
        return None if document is None else _application(document)

    def application_of(self, client_id: str) -> Application:
        """The registration with this client id, which somebody else may have made."""
        return _application(self.api.get(f"/v1.0/applications(appId='{_segment(client_id)}')", **{"$select": FIELDS}))

    def application(self, object_id: str) -> Application:
        """The registration, which may have been made a moment ago and not be known everywhere yet."""
        answer = self.patiently("GET", f"/v1.0/applications/{_segment(object_id)}?$select={FIELDS}")
        return _application(answer.document)

    def add_password(self, application: Application, *, name: str, ends: datetime, now: datetime) -> NewPassword:
        """Creates a client secret.

        Raises:
            ApiError: refused, by a lifetime policy for instance.
        """
        end = ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"passwordCredential": {"displayName": name, "endDateTime": end}}
        path = f"/v1.0/applications/{_segment(application.object_id)}/addPassword"
        young = application.created is not None and now - application.created < YOUNG
        unknown = {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN} if young else {HTTPStatus.NOT_FOUND}
        made = self.patiently("POST", path, body=body, unknown=unknown).document
        return NewPassword(key_id=made["keyId"], value=SecretStr(made["secretText"]), ends=_time(made["endDateTime"]))

    def remove_password(self, application: Application, key_id: str) -> bool:
        """Removes a client secret; False when it is gone already, or not known everywhere yet."""
        path = f"/v1.0/applications/{_segment(application.object_id)}/removePassword"
        remedies: dict[int, str] = {HTTPStatus.BAD_REQUEST: "Remove the client secret in the Entra admin center."}
        try:
            self.api.request("POST", path, body={"keyId": key_id}, remedies=remedies)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND or "no password credential found" in error.text.lower():
                return False
            raise
        return True

    def deleted_applications(
        self, expected: Application | None = None, /, *, client_id: str = "", unique_name: str = ""
    ) -> list[Application]:
        """Registrations of either name that were deleted within the last 30 days and not purged.

        The expected one was deleted just now, and may take a moment to be among them.
        """
        path = "/v1.0/directory/deletedItems/microsoft.graph.application"
        query = {"$select": "id,appId,displayName,uniqueName,deletedDateTime", "$top": "100"}

        def listed() -> list[Application]:
            return [
                one
                for one in map(_application, self.api.pages(path, **query))
                if (client_id and one.client_id == client_id) or (unique_name and one.unique_name == unique_name)
            ]

        return self.api.patience.until(
            listed,
            lambda found: expected is None or expected.object_id in {one.object_id for one in found},
            waits=REPLICATION_WAITS,
            why="the deleted registration is not listed yet",
        )

    def recovery_of(self, deleted: Application) -> str:
        """The command that gets it back."""
        url = f"{self.api.base}/v1.0/directory/deletedItems/{deleted.object_id}/restore"
        return f"az rest --method POST --url {shlex.quote(url)}"

    def delete_application(self, application: Application) -> bool:
        """Deletes the registration; it can be restored for 30 days. False when it is gone already."""
        path = f"/v1.0/applications/{_segment(application.object_id)}"
        return self.api.request("DELETE", path, accept={HTTPStatus.NOT_FOUND}).status != HTTPStatus.NOT_FOUND

    def purge_application(self, application: Application) -> bool:
        """Deletes it for good; False when it is gone already."""
        path = f"/v1.0/directory/deletedItems/{_segment(application.object_id)}"
        return self.api.request("DELETE", path, accept={HTTPStatus.NOT_FOUND}).status != HTTPStatus.NOT_FOUND

    def patiently(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        unknown: Collection[int] = (HTTPStatus.NOT_FOUND,),
    ) -> Answer:
        """Repeats while a replica that has not heard of the registration answers with a status of `unknown`."""
        for wait in REPLICATION_WAITS:
            answer = self.api.request(method, path, body=body, accept=unknown)
            if answer.status not in unknown:
                return answer
            self.api.patience.wait(wait, UNKNOWN_YET)
        return self.api.request(method, path, body=body)


def _segment(value: str) -> str:
    return quote(value, safe="")


def _application(document: dict[str, Any]) -> Application:
    return Application(
        object_id=document["id"],
        client_id=document.get("appId") or "",
        name=document.get("displayName") or "",
        unique_name=document.get("uniqueName") or "",
        created=_time(document["createdDateTime"]) if document.get("createdDateTime") else None,
        passwords=tuple(
            Password(
                key_id=entry["keyId"],
                name=entry.get("displayName") or "",
                starts=_time(entry["startDateTime"]),
                ends=_time(entry["endDateTime"]),
            )
            for entry in document.get("passwordCredentials") or ()
        ),
        document=document,
    )


def _time(text: str) -> datetime:
    """A time without an offset is UTC: one with none could not be compared with others."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
