"""Consent of an administrator for everybody in the directory, however it was given.

Entra ID lets nobody consent for themselves in an application that wants its people assigned to it, so there nobody can
sign in before an administrator consented:
https://learn.microsoft.com/entra/identity-platform/howto-restrict-your-app-to-a-set-of-users
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops.http import Api

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
OPENID = frozenset({"openid", "profile", "email", "offline_access"})
"""What people are asked for beside every other permission."""


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


def gap_of(graph: Api, *, principal_id: str, own: Sequence[str], additional: Sequence[str]) -> Gap:
    """What the server asks for at the sign-in, its own scopes and those of Microsoft Graph, and has no consent for.

    Raises:
        ApiError: this account may not look at consents.
    """
    found = graph.get(f"/v1.0/servicePrincipals(appId='{MICROSOFT_GRAPH}')", **{"$select": "id"})
    wanted = {principal_id: own, str(found["id"]): permissions(additional)}
    grants = [
        grant
        for grant in graph.pages(f"/v1.0/servicePrincipals/{principal_id}/oauth2PermissionGrants")
        if grant.get("consentType") == "AllPrincipals"
    ]
    gap = Gap()
    for resource, scopes in wanted.items():
        grant = next((one for one in grants if one.get("resourceId") == resource), None)
        held = str(grant.get("scope") or "").split() if grant is not None else []
        if lacking := [scope for scope in scopes if scope not in held]:
            base = f"{graph.base}/v1.0/oauth2PermissionGrants"
            change: dict[str, str] = {"scope": " ".join([*held, *lacking])}
            if grant is None:
                change |= {"clientId": principal_id, "consentType": "AllPrincipals", "resourceId": resource}
            way = f"POST --url {base}" if grant is None else f"PATCH --url {base}/{grant['id']}"
            gap.scopes.extend(lacking)
            gap.commands.append(f"az rest --method {way} --body '{json.dumps(change)}'")
    return gap


def permissions(additional: Iterable[str]) -> list[str]:
    """The permissions of Microsoft Graph among the scopes; those with an address are of other APIs."""
    return [scope for scope in additional if scope not in OPENID and ":" not in scope]
