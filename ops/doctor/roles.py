"""The roles of the app's managed identity: each that it needs, on no more than it needs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from ops.doctor.facts import group_path, resources_of_type
from ops.documents import part
from ops.environment import STORAGE_ACCOUNT, VAULT_ID
from ops.vault import CLIENT_SECRET, SIGNING_KEY

if TYPE_CHECKING:
    from ops.command import Context
    from ops.doctor.facts import Facts

BLOB_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
TABLE_CONTRIBUTOR = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"
QUEUE_CONTRIBUTOR = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
NAMES = {
    BLOB_OWNER: "Storage Blob Data Owner",
    TABLE_CONTRIBUTOR: "Storage Table Data Contributor",
    QUEUE_CONTRIBUTOR: "Storage Queue Data Contributor",
    SECRETS_USER: "Key Vault Secrets User",
    METRICS_PUBLISHER: "Monitoring Metrics Publisher",
}


def examine(context: Context, facts: Facts) -> str | None:
    """Each role that is needed against the assignments, those further up and further down included."""
    context.environment.require(STORAGE_ACCOUNT)
    identity = facts.identity
    if identity is None:
        known = [str(one.get("clientId")) for one in facts.identities]
        context.report.finding(
            "identity",
            f"AZURE_CLIENT_ID is not an identity of the app, which has: {', '.join(known) or 'none'}",
            remedy="azd provision --no-state",
        )
        return None
    principal = str(identity.get("principalId"))
    path = f"{group_path(context)}/providers/Microsoft.Authorization/roleAssignments"
    query = {"api-version": "2022-04-01", "$filter": f"principalId eq '{principal}'"}
    held = [part(one, "properties") for one in context.services.arm.pages(path, **query)]
    needed = _needed(context, facts)
    lacking = [(role, scope) for role, scope in needed if not any(_covers(one, role, scope) for one in held)]
    for role, scope in lacking:
        context.report.finding(
            "roles",
            f"the identity lacks {NAMES[role]} on {scope.rsplit('/', 1)[-1]}",
            remedy=f"azd provision --no-state\nor: az role assignment create --assignee-object-id {principal} "
            f'--assignee-principal-type ServicePrincipal --role "{NAMES[role]}" --scope {shlex.quote(scope)}',
        )
    return None if lacking else f"the identity has the {len(needed)} that it needs"


def _needed(context: Context, facts: Facts) -> list[tuple[str, str]]:
    """Each role, and the resource on which it is needed."""
    from entra_mcp.tasks.queue import POISON_QUEUE, QUEUE

    environment = context.environment
    account = f"{group_path(context)}/providers/Microsoft.Storage/storageAccounts/{environment[STORAGE_ACCOUNT]}"
    secrets = [SIGNING_KEY, *([CLIENT_SECRET] if facts.auth_mode == "proxy" else [])]
    components = resources_of_type(context, "Microsoft.Insights/components")
    return [
        (BLOB_OWNER, account),
        (TABLE_CONTRIBUTOR, f"{account}/tableServices/default/tables/{facts.table_name}"),
        *((QUEUE_CONTRIBUTOR, f"{account}/queueServices/default/queues/{name}") for name in (QUEUE, POISON_QUEUE)),
        *((SECRETS_USER, f"{environment[VAULT_ID]}/secrets/{name}") for name in secrets),
        *((METRICS_PUBLISHER, component) for component in components),
    ]


def _covers(assignment: dict[str, Any], role: str, scope: str) -> bool:
    """Whether it gives the role on the resource, or on one that contains it."""
    held, definition = str(assignment.get("scope")).rstrip("/"), str(assignment.get("roleDefinitionId"))
    return definition.lower().endswith(role) and f"{scope}/".lower().startswith(f"{held}/".lower())
