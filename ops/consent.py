"""Consent of an administrator for everybody in the directory, however it was given.

Entra ID lets nobody consent for themselves in an application that wants its people assigned to it, so there nobody can
sign in before an administrator consented:
https://learn.microsoft.com/entra/identity-platform/howto-restrict-your-app-to-a-set-of-users
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.clouds import NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops.http import Api

GRAPH_ADDRESSES = tuple(f"{cloud.graph}/" for cloud in NAMED.values())
MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
OPENID = frozenset({"openid", "profile", "email", "offline_access"})
"""What people are asked for beside every other permission."""

ALL_LISTED = ".default"
"""Asks for whatever permissions the registration lists; consent to it is consent to those."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Scopes that no administrator consented to for everybody, and the commands that do; empty where there are none."""

    scopes: list[str] = field(default_factory=list[str])
    commands: list[str] = field(default_factory=list[str])

    @property
    def remedy(self) -> str:
        return "\n".join(["a Cloud Application Administrator runs:", *self.commands])


def principal_of(graph: Api, client_id: str) -> dict[str, Any] | None:
    """The enterprise application of the registration, or None."""
    fields = "id,accountEnabled,appRoleAssignmentRequired"
    return graph.find(f"/v1.0/servicePrincipals(appId='{client_id}')", **{"$select": fields})


def gap_of(
    graph: Api, *, principal_id: str, own: Sequence[str], additional: Sequence[str], api_permissions: Sequence[str]
) -> Gap:
    """What the server asks for, its own scopes and those of Microsoft Graph and other APIs, and has no consent for.

    A permission of another API is `<client id>/<scope>/<id of the scope>`, as `ENTRA_API_PERMISSIONS` has it.

    Raises:
        ApiError: this account may not look at consents.
    """
    gap = Gap()
    wanted = {principal_id: {scope: scope for scope in own}}
    for resource, scopes in _by_resource(additional, api_permissions).items():
        if (found := _resource_id(graph, resource)) is None:
            gap.scopes.extend(scopes.values())
            # The command takes a URI for an application of this directory only.
            gap.commands.append(
                f"(no API of this directory is called {resource}: ENTRA_ADDITIONAL_SCOPES may need its client id)"
                if "/" in resource
                else f"az ad sp create --id {shlex.quote(resource)}"
            )
        else:
            wanted[found] = scopes | wanted.get(found, {})
    grants = [
        grant
        for grant in graph.pages(f"/v1.0/servicePrincipals/{principal_id}/oauth2PermissionGrants")
        if grant.get("consentType") == "AllPrincipals"
    ]
    for resource, scopes in wanted.items():
        grant = next((one for one in grants if one.get("resourceId") == resource), None)
        held = str(grant.get("scope") or "").split() if grant is not None else []
        if lacking := [scope for scope in scopes if scope not in held]:
            base = f"{graph.base}/v1.0/oauth2PermissionGrants"
            change: dict[str, str] = {"scope": " ".join([*held, *lacking])}
            if grant is None:
                change |= {"clientId": principal_id, "consentType": "AllPrincipals", "resourceId": resource}
            way = f"POST --url {base}" if grant is None else f"PATCH --url {base}/{shlex.quote(str(grant['id']))}"
            gap.scopes.extend(scopes[scope] for scope in lacking)
            gap.commands.append(f"az rest --method {way} --body {shlex.quote(json.dumps(change))}")
    return gap


def _by_resource(additional: Iterable[str], api_permissions: Iterable[str]) -> dict[str, dict[str, str]]:
    """A name of each resource, and its scopes, each with the word that asks for it."""
    found: dict[str, dict[str, str]] = {}
    if graph_scopes := permissions(additional):
        found[MICROSOFT_GRAPH] = {scope: scope for scope in graph_scopes}
    for word in [*additional, *(one.rpartition("/")[0] for one in api_permissions)]:
        resource, _, scope = word.rpartition("/")
        if resource and scope != ALL_LISTED and not word.startswith(GRAPH_ADDRESSES):
            found.setdefault(resource, {})[scope] = word
    return found


def _resource_id(graph: Api, name: str) -> str | None:
    """The enterprise application with this client id or Application ID URI; None where the directory has none."""
    quoted = name.replace("'", "''")
    query = {"$filter": f"servicePrincipalNames/any(name:name eq '{quoted}')", "$select": "id"}
    return next((str(one["id"]) for one in graph.pages("/v1.0/servicePrincipals", **query)), None)


def permissions(additional: Iterable[str]) -> list[str]:
    """The permissions of Microsoft Graph among the scopes, with its address or without."""
    names = [scope.rpartition("/")[2] if scope.startswith(GRAPH_ADDRESSES) else scope for scope in additional]
    return [name for name in dict.fromkeys(names) if name not in OPENID | {ALL_LISTED} and "/" not in name]
