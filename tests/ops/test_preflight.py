"""Each thing that is known to stop a deployment is found before it, with what fixes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ops.preflight.subscription import PROVIDERS, may
from tests.ops.test_postdown import deleted_vault
from tests.support.azure.cli import AzureCli
from tests.support.azure.world import GROUP, OBJECT_ID, SUBSCRIPTION, TENANT, VAULT, VAULT_ID, Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ops.conftest import Ops
    from tests.support.azure.world import World

Tools = dict[str, str]

CENTRAL = "/subscriptions/central/resourceGroups/central/providers/Microsoft.OperationalInsights/workspaces/central"


def test_everything_in_order_is_ready(ready: Ops) -> None:
    outcome = ready("preflight")
    assert outcome.code == 0, outcome.text
    assert "Ready for `azd up`" in outcome.text
    assert {method for method, _ in ready.world.requests} == {"GET"}


def disabled(world: World) -> None:
    world.resources[f"/subscriptions/{SUBSCRIPTION}"]["state"] = "Disabled"


def other_tenant(world: World) -> None:
    world.resources[f"/subscriptions/{SUBSCRIPTION}"]["tenantId"] = "other-tenant"


def other_regions(world: World) -> None:
    world.regions.remove("Sweden Central")


def contributor(world: World) -> None:
    world.permissions[:] = [
        {"actions": ["*/read"], "notActions": []},
        {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete"]},
    ]


def reader(world: World) -> None:
    world.permissions[:] = [{"actions": ["*/read"], "notActions": []}]


def deleted_registration(world: World) -> None:
    """After `azd down`: a purge is refused while the vault is there."""
    del world.resources[VAULT_ID.lower()]
    world.deleted_applications[OBJECT_ID] = world.applications.pop(OBJECT_ID)


def protected_vault(world: World) -> None:
    deleted_vault(world, purgeProtectionEnabled=True)


def no_registrations(world: World) -> None:
    world.may_create_apps = False


def policy(world: World, **restriction: str) -> None:
    world.management_policy = {
        "isEnabled": True,
        "applicationRestrictions": {"passwordCredentials": [{"state": "enabled", **restriction}]},
    }


def forbidden_secrets(world: World) -> None:
    policy(world, restrictionType="passwordAddition")


def token_protection(world: World) -> None:
    world.access_policies = [
        {"displayName": "Off", "state": "disabled", "sessionControls": {"secureSignInSession": {"isEnabled": True}}},
        {"displayName": "Bound", "state": "enabled", "sessionControls": {"secureSignInSession": {"isEnabled": True}}},
    ]


FAULTS: list[tuple[Callable[[World], None], str, str]] = [
    (disabled, "Dev is Disabled", "azd env set AZURE_SUBSCRIPTION_ID"),
    (other_tenant, "not the tenant of the subscription", "azd env set AZURE_TENANT_ID other-tenant"),
    (other_regions, "swedencentral has no Flex Consumption", "azd env set AZURE_LOCATION <one of eastus, uksouth>"),
    (contributor, "lacks the role Role Based Access", 'az role assignment create --role "Role Based Access'),
    (reader, "lacks the role Contributor", 'az role assignment create --role "Contributor"'),
    (deleted_vault, VAULT, f"az keyvault purge --name {VAULT} --location swedencentral"),
    (protected_vault, "2027-02-20", f"az keyvault recover --name {VAULT}"),
    (deleted_registration, "keeps the unique name", "python -m ops postdown --purge"),
    (no_registrations, "may not register applications", "Application Developer"),
    (forbidden_secrets, "forbids client secrets", "azd env set AUTH_MODE federated"),
]


@pytest.mark.parametrize(("fault", "found", "remedy"), FAULTS)
def test_fault_is_found_with_what_mends_it(ready: Ops, fault: Callable[[World], None], found: str, remedy: str) -> None:
    fault(ready.world)
    outcome = ready("preflight")
    assert outcome.code == 1
    assert found in outcome.text
    assert remedy in outcome.text
    assert "1 thing(s) to fix" in outcome.text or fault is reader


@pytest.mark.parametrize(
    ("program", "says", "code", "found"),
    [
        ("azd", "echo azd version 1.20.0", 1, "1.20.0 is older than 1.23.15"),
        ("azd", "exit 3", 1, "does not work"),
        ("az", 'echo \'{"azure-cli": "2.30.1"}\'', 0, "2.30.1 is older than 2.60"),
        ("bicep", "echo Bicep CLI version 0.30.3", 0, "0.30.3 is older than 0.38.3"),
    ],
)
def test_program_that_will_not_do_is_found_or_noted_where_a_deployment_can_do_without(
    ready: Ops, programs: Callable[..., str], program: str, says: str, code: int, found: str
) -> None:
    programs(**{program: says})
    outcome = ready("preflight")
    assert outcome.code == code, outcome.text
    assert found in outcome.text


def test_missing_azd_is_found_and_missing_az_only_noted(ready: Ops, tmp_path: Path) -> None:
    ready.path = str(tmp_path / "empty")
    outcome = ready("preflight")
    assert outcome.code == 1
    assert "FOUND azd" in outcome.text
    assert "note  az " in outcome.text


def test_token_protection_is_noted(ready: Ops) -> None:
    token_protection(ready.world)
    outcome = ready("preflight")
    assert outcome.code == 0
    assert "token protection is on: Bound" in outcome.text
    assert "azd pipeline config" in outcome.text


@pytest.mark.parametrize(
    ("changes", "provider"),
    [
        ({"PRIVATE_NETWORK": "true"}, "Microsoft.Network"),
        ({"ALERT_EMAIL": "a@contoso.com"}, "Microsoft.EventGrid"),
        *[({}, provider) for provider in PROVIDERS],
    ],
)
def test_missing_provider_is_noted_and_keeps_nothing_from_being_looked_at(
    ready: Ops, changes: dict[str, str], provider: str
) -> None:
    ready.world.providers.pop(provider, None)
    outcome = ready("preflight", **changes)
    assert outcome.code == 0, outcome.text
    assert f"az provider register --namespace {provider} --wait" in outcome.text
    assert "could not be looked at" not in outcome.text
    assert "ok    your rights" in outcome.text


def test_missing_provider_that_the_account_may_not_register_is_found(ready: Ops) -> None:
    del ready.world.providers["Microsoft.Web"]
    ready.world.permissions[:] = [{"actions": ["*"], "notActions": ["Microsoft.Web/register/action"]}]
    outcome = ready("preflight")
    assert outcome.code == 1
    assert "lacks the role Contributor" in outcome.text


@pytest.mark.parametrize(
    ("variables", "role", "scope"),
    [
        ({"RESOURCE_LOCK": "true"}, "User Access Administrator", f"/subscriptions/{SUBSCRIPTION}"),
        ({"DIAGNOSTICS_WORKSPACE_ID": CENTRAL}, "Log Analytics Contributor", CENTRAL),
        ({"NETWORK_FUNCTIONS_SUBNET_ID": CENTRAL, "PRIVATE_NETWORK": "true"}, "Network Contributor", CENTRAL),
        ({"NETWORK_ENDPOINTS_SUBNET_ID": CENTRAL, "PRIVATE_NETWORK": "true"}, "Network Contributor", CENTRAL),
        (
            {"NETWORK_PRIVATE_DNS_ZONES": CENTRAL, "PRIVATE_NETWORK": "true"},
            "Private DNS Zone Contributor",
            CENTRAL,
        ),
        ({"NETWORK_ENDPOINTS_SUBNET_ID": CENTRAL}, "", ""),
        ({"NETWORK_PRIVATE_DNS_ZONES": "none", "PRIVATE_NETWORK": "true"}, "", ""),
        ({}, "", ""),
    ],
)
def test_role_that_a_variable_wants_is_found_where_it_lacks(
    ready: Ops, variables: dict[str, str], role: str, scope: str
) -> None:
    """With the roles of the documents: Contributor and Role Based Access Control Administrator."""
    contributor(ready.world)
    ready.world.permissions.append({"actions": ["Microsoft.Authorization/roleAssignments/*"], "notActions": []})
    ready.world.permissions_on[CENTRAL] = [{"actions": ["*/read"], "notActions": []}]
    ready.world.providers["Microsoft.Network"] = "Registered"
    outcome = ready("preflight", **variables)
    assert outcome.code == bool(role), outcome.text
    if role:
        command = f'az role assignment create --role "{role}" --assignee <you> --scope {scope}'
        assert outcome.text.count("FOUND") == 1
        assert command in outcome.text
        AzureCli(ready.cloud)(command)
        assert ready("preflight", **variables).code == 0


def test_account_that_may_not_read_its_own_rights_has_none(ready: Ops) -> None:
    denied = {"error": {"code": "AuthorizationFailed", "message": "May not read permissions."}}
    ready.world.faults.append(Fault("GET", f"{CENTRAL}/providers/Microsoft.Authorization/permissions", 403, denied))
    outcome = ready("preflight", DIAGNOSTICS_WORKSPACE_ID=CENTRAL)
    assert outcome.code == 1
    assert "the account lacks the role Log Analytics Contributor on central" in outcome.text


def test_missing_provider_that_a_subnet_is_delegated_to_is_found(ready: Ops) -> None:
    del ready.world.providers["Microsoft.App"]
    ready.world.providers["Microsoft.Network"] = "Registered"
    outcome = ready("preflight", PRIVATE_NETWORK="true")
    assert outcome.code == 1
    assert "fix: az provider register --namespace Microsoft.App --wait" in outcome.text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/geoRegions", "region"),
        ("/permissions", "your rights"),
        ("/deletedVaults", "deleted vaults"),
        ("/providers/Microsoft.App", "resource providers"),
        ("/transitiveMemberOf", "directory role"),
        ("/defaultAppManagementPolicy", "secret policy"),
        ("/conditionalAccess/policies", "Conditional Access"),
        ("/deletedItems/", "deleted registrations"),
    ],
)
def test_check_that_fails_is_noted_and_the_others_are_made(ready: Ops, path: str, name: str) -> None:
    broken = {"error": {"code": "InternalServerError", "message": "broken"}}
    ready.world.faults.append(Fault("GET", path, 500, broken, times=9))
    outcome = ready("preflight")
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("could not be looked at") == 1
    assert f"note  {name}" in outcome.text


@pytest.mark.parametrize("status", [400, 404])
def test_fault_of_the_list_of_deleted_registrations_is_told_in_full(ready: Ops, status: int) -> None:
    fault = {"error": {"code": "Request_Fault", "message": "no such list"}}
    ready.world.faults.append(Fault("GET", "/deletedItems/", status, fault))
    outcome = ready("preflight")
    assert outcome.code == 0, outcome.text
    told = outcome.text.partition("note  deleted registrations")[2]
    assert f"could not be looked at. Microsoft Graph answered {status}" in told
    assert "no such list" in told


def test_deleted_vault_of_another_region_is_not_in_the_way(ready: Ops) -> None:
    protected_vault(ready.world)
    outcome = ready("preflight", AZURE_LOCATION="eastus")
    assert outcome.code == 0, outcome.text
    assert f"note  deleted vault          {VAULT} was in swedencentral" in outcome.text
    assert "FOUND deleted vault " in ready("preflight", AZURE_LOCATION="Sweden Central").text
    assert "FOUND deleted vault " in ready("preflight", AZURE_LOCATION="").text


@pytest.mark.parametrize("known", [VAULT, ""])
def test_deleted_vault_is_in_the_way_where_its_name_is_known_and_else_only_noted(ready: Ops, known: str) -> None:
    deleted_vault(ready.world)
    outcome = ready("preflight", AZURE_KEY_VAULT_NAME=known, AZURE_KEY_VAULT_ID=None)
    assert outcome.code == (1 if known else 0), outcome.text
    assert f"{'FOUND' if known else 'note '} deleted vault " in outcome.text
    assert ("az keyvault purge" in outcome.text) is bool(known)
    assert f"az group create --name {GROUP}" in outcome.text.partition(f"az keyvault recover --name {VAULT}")[0]


@pytest.mark.parametrize("known", [VAULT, ""])
def test_deleted_vault_of_another_resource_group_is_never_to_be_purged(ready: Ops, known: str) -> None:
    deleted_vault(ready.world, vaultId=VAULT_ID.replace(GROUP, "rg-of-another-team"))
    outcome = ready("preflight", AZURE_KEY_VAULT_NAME=known, AZURE_KEY_VAULT_ID=None)
    assert outcome.code == (1 if known else 0), outcome.text
    assert "az keyvault" not in outcome.text
    assert ("rg-of-another-team" in outcome.text) is bool(known)


def test_finding_does_not_stop_azd_where_a_person_says_so(ready: Ops) -> None:
    no_registrations(ready.world)
    outcome = ready("preflight", PREFLIGHT="warn")
    assert outcome.code == 0
    assert "1 thing(s) to fix" in outcome.text
    assert "azd env set PREFLIGHT warn" in ready("preflight").text


def test_registration_of_somebody_else_needs_no_right_to_register(ready: Ops) -> None:
    no_registrations(ready.world)
    forbidden_secrets(ready.world)
    outcome = ready("preflight", ENTRA_EXISTING_CLIENT_ID="22222222-2222-4222-8222-222222222222")
    assert outcome.code == 0, outcome.text


def test_roles_that_cannot_be_read_are_no_finding(ready: Ops) -> None:
    no_registrations(ready.world)
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}
    ready.world.faults.append(Fault("GET", "/transitiveMemberOf", 403, denied))
    outcome = ready("preflight")
    assert outcome.code == 0, outcome.text
    assert "note  directory role" in outcome.text


def test_group_with_the_name_of_a_role_is_no_role(ready: Ops) -> None:
    no_registrations(ready.world)
    ready.world.groups[:] = ["Application Administrator"]
    assert ready("preflight").code == 1


def test_role_of_the_account_is_enough_where_users_may_not_register(ready: Ops) -> None:
    ready.world.may_create_apps = False
    ready.world.groups[:] = ["One", "Two", "Three"]
    ready.world.page_size = 2
    ready.world.directory_roles[:] = ["Directory Readers", "Application Developer"]
    assert ready("preflight").code == 0


@pytest.mark.parametrize("path", ["/authorizationPolicy", "/defaultAppManagementPolicy", "/deletedItems/", "/policies"])
def test_what_the_account_may_not_look_at_is_said(ready: Ops, path: str) -> None:
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}
    ready.world.faults.append(Fault("GET", path, 403, denied, times=3))
    outcome = ready("preflight")
    assert outcome.code == 0, outcome.text
    assert "cannot be looked at with this account" in outcome.text


def test_first_run_before_azd_knows_the_subscription_looks_at_the_rest(ready: Ops) -> None:
    outcome = ready(
        "preflight", AZURE_SUBSCRIPTION_ID="", AZURE_TENANT_ID="", AZURE_KEY_VAULT_ID="", ENTRA_TENANT_ID=TENANT
    )
    assert outcome.code == 0, outcome.text
    assert "azd will ask" in outcome.text


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ([{"actions": ["*"]}], True),
        ([{"actions": ["Microsoft.Web/*"]}], True),
        ([{"actions": ["microsoft.web/sites/*"]}], True),
        ([{"actions": ["Microsoft.Web/sites/read"]}], False),
        ([{"actions": ["*"], "notActions": ["Microsoft.Web/*/write"]}], False),
        ([{"actions": ["*"], "notActions": ["Microsoft.Web/*"]}, {"actions": ["*/write"]}], True),
        ([], False),
    ],
)
def test_assignments_allow_an_action_unless_the_same_one_takes_it_away(
    granted: list[dict[str, list[str]]], allowed: bool
) -> None:
    assert may(granted, "Microsoft.Web/sites/write") is allowed
