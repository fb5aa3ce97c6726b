"""What the stand-ins know: one tenant and one subscription, and the faults that a test plants."""

from __future__ import annotations

import os
import signal
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
TENANT = "11111111-1111-4111-8111-111111111111"
SUBSCRIPTION = "99999999-9999-4999-8999-999999999999"
GROUP = "rg-mcp-dev"
CLIENT_ID = "22222222-2222-4222-8222-222222222222"
OBJECT_ID = "33333333-3333-4333-8333-333333333333"
PRINCIPAL_ID = "44444444-4444-4444-8444-444444444444"
IDENTITY_CLIENT_ID = "55555555-5555-4555-8555-555555555555"
ENTERPRISE_ID = "66666666-6666-4666-8666-666666666666"
GRAPH_PRINCIPAL_ID = "77777777-7777-4777-8777-777777777777"
GRAPH_PRINCIPAL: dict[str, Any] = {
    "id": GRAPH_PRINCIPAL_ID,
    "servicePrincipalNames": [MICROSOFT_GRAPH, "https://graph.microsoft.com", "https://graph.microsoft.com/"],
}
UNIQUE_NAME = "entra-mcp-dev-abc123"
SITE = "func-abc123"
HOST = "func-abc123.azurewebsites.net"
STORAGE = "stabc123"
VAULT = "kv-abcdefghij234"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
VAULT_ID = f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/{VAULT}"
STORAGE_ID = f"{GROUP_ID}/providers/Microsoft.Storage/storageAccounts/{STORAGE}"
SITE_ID = f"{GROUP_ID}/providers/Microsoft.Web/sites/{SITE}"
IDENTITY_ID = f"{GROUP_ID}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-abc123"
INSIGHTS_ID = f"{GROUP_ID}/providers/Microsoft.Insights/components/appi-abc123"


class Clock:
    """The time of the stand-ins, which a test may move."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, **span: float) -> None:
        self.offset += timedelta(**span)


@dataclass
class Fault:
    """Answers the next matching requests in place of the service."""

    method: str
    path: str
    """A part of the path."""
    status: int
    body: Any = None
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict[str, str])
    served: bool = False
    """Whether the service does what was asked, though its answer is lost."""


@dataclass
class Kill:
    """Ends the process that asks, at its n-th request: before the service sees it, or after and unanswered."""

    at: int
    served: bool
    victim: Future[int] = field(default_factory=Future[int])
    """The process id, once the test knows it."""

    def strike(self) -> None:
        os.kill(self.victim.result(10), signal.SIGKILL)


@dataclass
class SecretVersion:
    """A version of a secret."""

    value: str
    created: int
    updated: int
    tags: dict[str, str] = field(default_factory=dict[str, str])
    content_type: str = ""
    enabled: bool = True
    expires: int | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class World:
    """Everything there is. Tests change it as an administrator would."""

    clock: Clock = field(default_factory=Clock)
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    faults: list[Fault] = field(default_factory=list[Fault])
    kill: Kill | None = None

    issuer: dict[str, Any] = field(default_factory=dict[str, Any])
    """Path to what an identity provider publishes there."""

    # Microsoft Graph
    applications: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    deleted_applications: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    principals: dict[str, dict[str, Any]] = field(default_factory=lambda: {MICROSOFT_GRAPH: dict(GRAPH_PRINCIPAL)})
    """Client id to the enterprise application."""
    grants: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Consents."""
    federated_credentials: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    secret_values: dict[str, str] = field(default_factory=dict[str, str])
    """Key id to value: what Graph itself never shows again."""
    max_lifetime: timedelta | None = None
    passwords_allowed: bool = True
    unknown_reads: int = 0
    """How many requests for a registration still meet a replica that has not heard of it."""
    stale_reads: int = 0
    """How many still get the registration as it was before the last change of its secrets."""
    stale: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    unaccepted: int = 0
    """How many times a new secret is still refused at the token endpoint."""
    page_size: int = 100
    groups: list[str] = field(default_factory=list[str])
    directory_roles: list[str] = field(default_factory=list[str])
    may_create_apps: bool = True
    management_policy: dict[str, Any] = field(default_factory=dict[str, Any])
    own_management_policies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Those that are assigned to the registration."""
    access_policies: list[dict[str, Any]] | None = None
    """None: the caller may not read them."""

    # Azure Resource Manager and Key Vault
    resources: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Resource id in lower case to the document."""
    secrets: dict[str, list[SecretVersion]] = field(default_factory=dict[str, list[SecretVersion]])
    deleted_secrets: set[str] = field(default_factory=set[str])
    deleted_vaults: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    providers: dict[str, str] = field(
        default_factory=lambda: {"Microsoft.KeyVault": "Registered", "Microsoft.Web": "Registered"}
    )
    deployments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Records of the subscription."""
    regions: list[str] = field(default_factory=list[str])
    policy_assignments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """By their ids at the group, the subscription or above; their definitions are among the resources."""
    policy_exemptions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    permissions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    permissions_on: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """Resource id to what is allowed on it, where that is not what is allowed in the subscription."""
    app_settings: dict[str, str] = field(default_factory=dict[str, str])
    functions: list[str] = field(default_factory=list[str])
    role_assignments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    vault_role: bool = True
    """Whether the caller has a role inside the vault."""
    purge_runs: list[tuple[str, bool]] | None = None
    """Times and outcomes in the logs; None: the caller may not query."""

    def now(self) -> datetime:
        return self.clock.now()

    def add_application(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any member of the document
        """A registration as the infrastructure creates it."""
        document: dict[str, Any] = {
            "id": OBJECT_ID,
            "appId": CLIENT_ID,
            "displayName": "Entra MCP Server (dev)",
            "uniqueName": UNIQUE_NAME,
            "createdDateTime": stamp(self.now() - timedelta(days=1)),
            "signInAudience": "AzureADMyOrg",
            "identifierUris": [f"api://{CLIENT_ID}"],
            "passwordCredentials": [],
            "api": {
                "requestedAccessTokenVersion": 2,
                "oauth2PermissionScopes": [
                    {"id": str(uuid.uuid4()), "value": "access_as_user", "isEnabled": True, "type": "User"}
                ],
            },
            "web": {"redirectUris": [f"https://{HOST}/auth/callback"]},
            "spa": {"redirectUris": []},
            "publicClient": {"redirectUris": []},
            "appRoles": [{"id": str(uuid.uuid4()), "value": "Admin", "isEnabled": True}],
            "groupMembershipClaims": None,
            "requiredResourceAccess": [],
            **changes,
        }
        self.applications[document["id"]] = document
        return document

    def passwords(self, object_id: str = OBJECT_ID) -> list[dict[str, Any]]:
        return self.applications[object_id]["passwordCredentials"]

    def add_password(self, *, name: str, days: float, started_days_ago: float = 0) -> str:
        """A client secret of the registration; its key id."""
        key_id = str(uuid.uuid4())
        self.passwords().append(
            {
                "keyId": key_id,
                "displayName": name,
                "startDateTime": stamp(self.now() - timedelta(days=started_days_ago)),
                "endDateTime": stamp(self.now() + timedelta(days=days)),
                "hint": "abc",
            }
        )
        self.secret_values[key_id] = f"secret-{uuid.uuid4().hex}"
        return key_id

    def put_secret(
        self, name: str, value: str, *, tags: dict[str, str] | None = None, days_ago: float = 0
    ) -> SecretVersion:
        """A version in the vault, as if it had been put there some days ago."""
        at = int((self.now() - timedelta(days=days_ago)).timestamp())
        version = SecretVersion(value=value, created=at, updated=at, tags=tags or {})
        self.secrets.setdefault(name, []).append(version)
        return version


def page(request: Request, everything: Sequence[dict[str, Any]], *, size: int, link: str) -> Response:
    """The members of a list that the request asks for; `link` is what its service calls the address of the rest."""
    start = int(request.query_params.get("$skiptoken", "0"))
    found: dict[str, Any] = {"value": everything[start : start + size]}
    if start + size < len(everything):
        found[link] = str(request.url.include_query_params(**{"$skiptoken": start + size}))
    return JSONResponse(found)


def stamp(moment: datetime) -> str:
    """As Graph writes times: seven digits of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
