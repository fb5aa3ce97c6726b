"""A deployment that is in order, in the world of the stand-ins."""

from __future__ import annotations

from datetime import timedelta

from ops.client_secret import KEY_ID, own_name
from tests.support.azure.world import (
    CLIENT_ID,
    ENTERPRISE_ID,
    HOST,
    IDENTITY_CLIENT_ID,
    IDENTITY_ID,
    INSIGHTS_ID,
    OBJECT_ID,
    PRINCIPAL_ID,
    SITE_ID,
    STORAGE_ID,
    TENANT,
    VAULT,
    VAULT_ID,
    World,
)

ROLES = (
    ("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", STORAGE_ID),
    ("0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", f"{STORAGE_ID}/tableServices/default/tables/McpOAuthState"),
    ("974c5e8b-45b9-4653-ba55-5f855dd0fb88", f"{STORAGE_ID}/queueServices/default/queues/mcp-tasks"),
    ("974c5e8b-45b9-4653-ba55-5f855dd0fb88", f"{STORAGE_ID}/queueServices/default/queues/mcp-tasks-poison"),
    ("4633458b-17de-408a-b874-0445c86b69e6", f"{VAULT_ID}/secrets/jwt-signing-key"),
    ("4633458b-17de-408a-b874-0445c86b69e6", f"{VAULT_ID}/secrets/entra-client-secret"),
    ("3913510d-42f4-4e42-8a64-420c390055eb", INSIGHTS_ID),
)


def deploy(world: World, *, base_url: str) -> None:
    """Fills the world; the server itself is at `base_url`."""
    provision(world, base_url=base_url)
    deploy_code(world)
    key_id = world.add_password(name=own_name(VAULT), days=150, started_days_ago=30)
    world.put_secret("entra-client-secret", world.secret_values[key_id], tags={KEY_ID: key_id}, days_ago=30)
    world.put_secret("jwt-signing-key", "a key", days_ago=30)
    world.purge_runs = [((world.now() - timedelta(minutes=40)).isoformat(), True)]


def provision(world: World, *, base_url: str) -> None:
    """What the templates make, or put right; secrets of the registration and of the vault are not theirs."""
    before = world.applications.get(OBJECT_ID, {"passwordCredentials": []})
    world.add_application(
        web={"redirectUris": [f"{base_url}/auth/callback"]},
        requiredResourceAccess=[{"resourceAppId": "graph", "resourceAccess": [{"id": "x", "type": "Scope"}]}],
        passwordCredentials=before["passwordCredentials"],
    )
    world.principals[CLIENT_ID] = {"id": ENTERPRISE_ID, "accountEnabled": True, "appRoleAssignmentRequired": False}
    world.resources[VAULT_ID.lower()] = {"id": VAULT_ID, "type": "Microsoft.KeyVault/vaults"}
    world.resources[INSIGHTS_ID.lower()] = {"id": INSIGHTS_ID, "type": "Microsoft.Insights/components"}
    world.resources[SITE_ID.lower()] = {
        "id": SITE_ID,
        "type": "Microsoft.Web/sites",
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {IDENTITY_ID: {"principalId": PRINCIPAL_ID, "clientId": IDENTITY_CLIENT_ID}},
        },
        "properties": {
            "state": "Running",
            "httpsOnly": True,
            "defaultHostName": HOST,
            "hostNames": [HOST],
            "functionAppConfig": {"runtime": {"name": "python", "version": "3.13"}},
        },
    }
    world.app_settings.clear()
    world.app_settings.update(
        {
            "AUTH_MODE": "proxy",
            "AZURE_CLIENT_ID": IDENTITY_CLIENT_ID,
            "AzureWebJobsStorage__tableServiceUri": "https://stabc123.table.core.windows.net",
            "ENTRA_CLIENT_ID": CLIENT_ID,
            "ENTRA_TENANT_ID": TENANT,
            "KEY_VAULT_URL": f"https://{VAULT}.vault.azure.net",
            "MCP_BASE_URL": base_url,
            "MCP_TABLE_NAME": "McpOAuthState",
        }
    )
    world.role_assignments[:] = [assignment(role, scope) for role, scope in ROLES]


def deploy_code(world: World) -> None:
    """What `azd deploy` brings."""
    world.functions[:] = ["mcp", "purge"]


def assignment(role: str, scope: str) -> dict[str, dict[str, str]]:
    """A role assignment of the app's identity."""
    definition = f"/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return {"properties": {"principalId": PRINCIPAL_ID, "roleDefinitionId": definition, "scope": scope}}
