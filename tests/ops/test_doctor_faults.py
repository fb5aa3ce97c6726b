"""Each fault of a deployment, planted by itself, is found with what fixes it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops.aadsts import AADSTS, codes_in
from ops.vault import PLACEHOLDER
from tests.support.azure.deployment import ROLES, assignment
from tests.support.azure.world import CLIENT_ID, GROUP, OBJECT_ID, PRINCIPAL_ID, SITE, SITE_ID, VAULT, stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ops.conftest import Outcome
    from tests.support.azure.world import World

SETTING = f"az functionapp config appsettings set --name {SITE} --resource-group {GROUP} --settings"


def registration(world: World) -> dict[str, Any]:
    return world.applications[OBJECT_ID]


def site(world: World) -> dict[str, Any]:
    return world.resources[SITE_ID.lower()]


def version_1(world: World) -> None:
    registration(world)["api"]["requestedAccessTokenVersion"] = None


def no_scope(world: World) -> None:
    registration(world)["api"]["oauth2PermissionScopes"] = []


def no_optional_scope(world: World) -> None:
    world.app_settings["ENTRA_OPTIONAL_SCOPES"] = "Orders.Approve"


def disabled_scope(world: World) -> None:
    registration(world)["api"]["oauth2PermissionScopes"][0]["isEnabled"] = False


def disabled_scope_with_an_apostrophe(world: World) -> None:
    """Whoever may change the registration writes the text; in a shell it must stay a text."""
    disabled_scope(world)
    text = "On the user's behalf'; exit; echo '$(exit)"
    registration(world)["api"]["oauth2PermissionScopes"][0]["adminConsentDescription"] = text


def no_redirect_uri(world: World) -> None:
    registration(world)["web"]["redirectUris"] = ["https://elsewhere.example/auth/callback"]


def redirect_uri_of_a_page(world: World) -> None:
    registration(world)["spa"]["redirectUris"] = registration(world)["web"]["redirectUris"]
    registration(world)["web"]["redirectUris"] = []


def other_identifier_uri(world: World) -> None:
    registration(world)["identifierUris"] = ["api://something-else"]


def one_tenant_for_all(world: World) -> None:
    world.app_settings["ENTRA_TENANT_ID"] = "organizations"


def group_claims(world: World) -> None:
    registration(world)["groupMembershipClaims"] = "SecurityGroup"


def no_permissions(world: World) -> None:
    registration(world)["requiredResourceAccess"] = []


def deleted(world: World) -> None:
    world.deleted_applications[OBJECT_ID] = world.applications.pop(OBJECT_ID)


def unknown_registration(world: World) -> None:
    world.applications.clear()


def no_principal(world: World) -> None:
    world.principals.clear()


def disabled_principal(world: World) -> None:
    world.principals[CLIENT_ID]["accountEnabled"] = False


def expired_secret(world: World) -> None:
    world.passwords()[0]["endDateTime"] = stamp(world.now() - timedelta(days=2))


def expiring_secret(world: World) -> None:
    world.passwords()[0]["endDateTime"] = stamp(world.now() + timedelta(days=9))


def removed_secret(world: World) -> None:
    world.passwords().clear()


def disabled_secret(world: World) -> None:
    world.secrets["entra-client-secret"][-1].enabled = False


def secret_expired_in_the_vault(world: World) -> None:
    world.secrets["entra-client-secret"][-1].expires = int((world.now() - timedelta(days=3)).timestamp())


def placeholder(world: World) -> None:
    world.secrets["entra-client-secret"][-1].content_type = PLACEHOLDER


def no_signing_key(world: World) -> None:
    del world.secrets["jwt-signing-key"]


def disabled_signing_key(world: World) -> None:
    world.secrets["jwt-signing-key"][-1].enabled = False


def setting_missing(world: World) -> None:
    del world.app_settings["KEY_VAULT_URL"]


def setting_unresolved(world: World) -> None:
    world.app_settings["MCP_SERVER_NAME"] = "@Microsoft.KeyVault(SecretUri=https://kv/secrets/x)"


def other_client_id(world: World) -> None:
    world.app_settings["ENTRA_CLIENT_ID"] = "99999999-9999-4999-8999-999999999999"
    document = dict(registration(world), id="another", appId="99999999-9999-4999-8999-999999999999")
    document["identifierUris"] = ["api://99999999-9999-4999-8999-999999999999"]
    document["passwordCredentials"] = world.passwords()
    world.applications["another"] = document
    world.principals["99999999-9999-4999-8999-999999999999"] = world.principals[CLIENT_ID]


def no_table_role(world: World) -> None:
    world.role_assignments[:] = [assignment(role, scope) for role, scope in ROLES if "tableServices" not in scope]


def no_queue_role(world: World) -> None:
    world.role_assignments[:] = [assignment(role, scope) for role, scope in ROLES if not scope.endswith("poison")]


def no_secret_role(world: World) -> None:
    world.role_assignments[:] = [assignment(role, scope) for role, scope in ROLES if "entra-client-secret" not in scope]


def other_identity(world: World) -> None:
    world.app_settings["AZURE_CLIENT_ID"] = "99999999-9999-4999-8999-999999999999"


def stopped(world: World) -> None:
    site(world)["properties"]["state"] = "Stopped"


def other_python(world: World) -> None:
    site(world)["properties"]["functionAppConfig"]["runtime"]["version"] = "3.11"


def not_loaded(world: World) -> None:
    world.functions.remove("mcp")


def plain_http(world: World) -> None:
    site(world)["properties"]["httpsOnly"] = False


def failed_purge(world: World) -> None:
    world.purge_runs = [(world.now().isoformat(), False)]


def late_purge(world: World) -> None:
    world.purge_runs = [((world.now() - timedelta(hours=7)).isoformat(), True)]


FAULTS: list[tuple[Callable[[World], None], str, str]] = [
    (version_1, "requestedAccessTokenVersion is 1", '{"api": {"requestedAccessTokenVersion": 2}}'),
    (no_scope, "no scope access_as_user", "Expose an API, Add a scope access_as_user"),
    (no_optional_scope, "no scope Orders.Approve", "take it out of ENTRA_OPTIONAL_SCOPES"),
    (disabled_scope, "scope access_as_user is disabled", '"isEnabled": true'),
    (disabled_scope_with_an_apostrophe, "scope access_as_user is disabled", '"isEnabled": true'),
    (no_redirect_uri, "AADSTS50011", '"https://elsewhere.example/auth/callback", "http://127.0.0.1:'),
    (redirect_uri_of_a_page, "AADSTS9002326", '"spa": {"redirectUris": []}'),
    (other_identifier_uri, "AADSTS500011", f'{{"identifierUris": ["api://something-else", "api://{CLIENT_ID}"]}}'),
    (one_tenant_for_all, "AADSTS50194", '{"signInAudience": "AzureADMultipleOrgs"}'),
    (group_claims, "tokens carry groups", '{"groupMembershipClaims": null}'),
    (no_permissions, "AADSTS650056", "User.Read"),
    (deleted, "was deleted", f"/v1.0/directory/deletedItems/{OBJECT_ID}/restore"),
    (unknown_registration, "AADSTS700016", "azd provision --no-state"),
    (no_principal, "AADSTS7000229", f"az ad sp create --id {CLIENT_ID}"),
    (disabled_principal, "AADSTS7000112", f"az ad sp update --id {CLIENT_ID} --set accountEnabled=true"),
    (expired_secret, "AADSTS7000222", "python -m ops postprovision"),
    (expiring_secret, "expires on", "python -m ops postprovision"),
    (removed_secret, "AADSTS7000215", "python -m ops postprovision"),
    (disabled_secret, f"is disabled in {VAULT}", "python -m ops postprovision"),
    (secret_expired_in_the_vault, "AADSTS7000222", "python -m ops postprovision"),
    (placeholder, "has none yet", "python -m ops postprovision"),
    (no_signing_key, "has none", "python -m ops postprovision"),
    (disabled_signing_key, "newest version is disabled", "az keyvault secret set-attributes"),
    (setting_missing, "KEY_VAULT_URL: is not set", f"{SETTING} KEY_VAULT_URL=<value>"),
    (setting_unresolved, "MCP_SERVER_NAME: is a Key Vault reference", f"{SETTING} MCP_SERVER_NAME=<value>"),
    (other_client_id, "is not the registration that azd knows", f"{SETTING} ENTRA_CLIENT_ID={CLIENT_ID}"),
    (no_table_role, "lacks Storage Table Data Contributor", f"--assignee-object-id {PRINCIPAL_ID}"),
    (no_queue_role, "lacks Storage Queue Data Contributor on mcp-tasks-poison", "queues/mcp-tasks-poison"),
    (no_secret_role, "Key Vault Secrets User on entra-client-secret", "/secrets/entra-client-secret"),
    (other_identity, "AZURE_CLIENT_ID is not an identity", "azd provision --no-state"),
    (stopped, "is Stopped", f"az functionapp start --name {SITE} --resource-group {GROUP}"),
    (other_python, "runs python 3.11", "azd deploy"),
    (not_loaded, "not listed: mcp", "azd deploy"),
    (plain_http, "answers plain http", "--set httpsOnly=true"),
    (failed_purge, "failed, ", "az monitor app-insights query"),
    (late_purge, "it should be hourly", "az monitor app-insights query"),
]


DOCTOR = "python -m ops doctor"


def fix_of(outcome: Outcome) -> str:
    return re.split(r"\n {0,12}\S|\n\n", outcome.text.partition("fix:")[2])[0]


def assert_agrees(code: int, fix: str) -> None:
    """What is said of a code, by the documents too, is what doctor gives: by a command or a setting that both name."""
    said = AADSTS[code].remedy.replace("<ENTRA_CLIENT_ID>", CLIENT_ID)
    named = [name for name in re.findall(r"`([^`]+)`", said) if name != DOCTOR]
    points_here = f"the command that `{DOCTOR}` gives" in said or f"`{DOCTOR}` gives the command" in said
    assert points_here or any(name in fix for name in named), f"{said}\n{fix}"


@pytest.mark.parametrize(("fault", "found", "remedy"), FAULTS)
def test_fault_is_found_with_its_remedy(
    doctor: Callable[..., Outcome], deployed: World, fault: Callable[[World], None], found: str, remedy: str
) -> None:
    fault(deployed)
    outcome = doctor()
    assert outcome.code == 1, outcome.text
    assert outcome.text.count("FOUND") == 1, outcome.text
    finding = outcome.text.partition("FOUND")[2]
    assert found in finding
    fix = fix_of(outcome)
    assert remedy in fix
    for code in codes_in(found):
        assert_agrees(code, fix)
