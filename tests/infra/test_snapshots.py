"""The snapshots: one for each kind of deployment, every parameter in one of them, and what each of them has to show."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from tests.infra.compiler import command
from tests.infra.snapshots import OPTIONS, given, of_type, outputs, parameter_sets, resources
from tests.infra.template import INFRA, main, templates

if TYPE_CHECKING:
    from pathlib import Path

DELETION_LOCK = "Microsoft.Authorization/locks"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"
SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups"
ZONE_GROUPS = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
SECRETS = "Microsoft.KeyVault/vaults/secrets"
API = "66666666-6666-4666-8666-666666666666"

TAGS = {"cost center": "4711", "owner": "platform team", "azd-env-name": "policies"}


def api_versions() -> set[tuple[str, str]]:
    """Types and versions of the templates' resources, without those that are nested in another one."""
    return {
        found
        for template in templates()
        for found in re.findall(r"^resource \w+ '([\w./]+)@([\w.-]+)'", template.source, re.MULTILINE)
    }


def test_every_set_of_parameters_has_a_snapshot_and_every_snapshot_a_set() -> None:
    files = {file.name for file in (INFRA / "snapshots").glob("*.json")}
    assert files == {f"{parameters.stem}.snapshot.json" for parameters in parameter_sets()}


def test_every_parameter_is_shown_by_a_snapshot() -> None:
    shown = {name for parameters in parameter_sets() for name in given(parameters)}
    assert shown == set(main().of("param"))


@pytest.mark.parametrize("parameters", parameter_sets(), ids=lambda file: file.stem)
def test_snapshot_is_of_these_templates(parameters: Path) -> None:
    """Where there is no compiler, a snapshot that was not refreshed shows by the versions of its resources."""
    top = {kind for kind, _ in api_versions()}
    made = {(found["type"], found["apiVersion"]) for found in resources(parameters) if "apiVersion" in found}
    assert made
    assert {found for found in made if found[0] in top} <= api_versions()


def test_guide_refreshes_the_snapshots_with_the_options_of_the_tests() -> None:
    text = " ".join((REPOSITORY / "docs" / "deploy.md").read_text("utf-8").replace("\\\n", " ").split())
    assert f'bicep snapshot "$file" --mode overwrite {OPTIONS}' in text


def test_missing_compiler_is_named_with_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"bicep is not on PATH\. Install .*`az bicep install"):
        command("build")


@pytest.mark.parametrize(
    ("kind", "without"),
    [
        (DELETION_LOCK, "prod"),
        (DIAGNOSTICS, "prod"),
        (SECURITY_GROUPS, "existing-network"),
        ("Microsoft.Network/virtualNetworks", "existing-network"),
        ("Microsoft.Network/privateDnsZones", "existing-network"),
        ("Microsoft.Insights/scheduledQueryRules", "dev"),
        ("Microsoft.Consumption/budgets", "dev"),
    ],
)
def test_what_nobody_asked_for_is_not_made(kind: str, without: str) -> None:
    assert of_type(without, kind) == []


def test_tags_are_on_everything_that_has_any_the_resource_group_included() -> None:
    tagged = [found for found in resources(INFRA / "snapshots" / "policies.bicepparam") if "location" in found]
    assert "Microsoft.Resources/resourceGroups" in {found["type"] for found in tagged}
    for found in tagged:
        more = {"azd-service-name": "server"} if found["type"] == "Microsoft.Web/sites" else {}
        assert found["tags"] == TAGS | more


@pytest.mark.parametrize(("name", "protected"), [("dev", None), ("policies", True), ("prod", True)])
def test_vault_is_protected_from_a_purge_by_the_preset_or_by_the_switch(name: str, protected: bool | None) -> None:
    (vault,) = of_type(name, "Microsoft.KeyVault/vaults")
    assert vault["properties"].get("enablePurgeProtection") is protected


@pytest.mark.parametrize(("name", "attributes"), [("dev", {}), ("policies", {"exp": 1803859200})])
def test_secrets_expire_only_where_a_day_is_given(name: str, attributes: dict[str, int]) -> None:
    assert [secret["properties"]["attributes"] for secret in of_type(name, SECRETS)] == [attributes] * 2


@pytest.mark.parametrize(("name", "strategy"), [("dev", "Recreate"), ("policies", "RollingUpdate")])
def test_update_strategy_is_the_one_asked_for(name: str, strategy: str) -> None:
    (app,) = of_type(name, "Microsoft.Web/sites")
    assert app["properties"]["functionAppConfig"]["siteUpdateStrategy"] == {"type": strategy}


def test_vault_table_and_app_send_their_logs_to_the_central_workspace() -> None:
    made = of_type("policies", DIAGNOSTICS)
    assert len(made) == 3
    assert all(found["properties"]["workspaceId"].endswith("/workspaces/central") for found in made)


def test_both_subnets_of_a_network_made_here_have_a_security_group() -> None:
    (network,) = of_type("private", "Microsoft.Network/virtualNetworks")
    used = [subnet["properties"]["networkSecurityGroup"]["id"] for subnet in network["properties"]["subnets"]]
    assert sorted(used) == sorted(found["id"] for found in of_type("private", SECURITY_GROUPS))


def test_private_endpoints_take_https_from_the_network_and_nothing_else() -> None:
    (group,) = [found for found in of_type("private", SECURITY_GROUPS) if found["name"].endswith("-private-endpoints")]
    rules = [rule["properties"] for rule in group["properties"]["securityRules"]]
    allowed = [rule for rule in rules if rule["access"] == "Allow"]
    assert [(rule["sourceAddressPrefix"], rule["destinationPortRange"]) for rule in allowed] == [
        ("VirtualNetwork", "443")
    ]
    assert [(rule["sourceAddressPrefix"], rule["direction"]) for rule in rules if rule["access"] == "Deny"] == [
        ("*", "Inbound")
    ]
    (network,) = of_type("private", "Microsoft.Network/virtualNetworks")
    subnet = network["properties"]["subnets"][1]["properties"]
    assert subnet["privateEndpointNetworkPolicies"] == "NetworkSecurityGroupEnabled"


def test_network_that_exists_is_used_with_the_zones_of_another_group() -> None:
    (app,) = of_type("existing-network", "Microsoft.Web/sites")
    assert app["properties"]["virtualNetworkSubnetId"].endswith("/virtualNetworks/hub/subnets/functions")
    endpoints = of_type("existing-network", "Microsoft.Network/privateEndpoints")
    assert len(endpoints) == 4
    assert all(found["properties"]["subnet"]["id"].endswith("/hub/subnets/endpoints") for found in endpoints)
    zones = json.dumps(of_type("existing-network", ZONE_GROUPS))
    assert zones.count("/resourceGroups/dns'") == len(endpoints)


def application(name: str) -> dict[str, Any]:
    """The application as its second step describes it."""
    found = of_type(name, "Microsoft.Graph/applications@v1.0")
    return next(each["properties"] for each in found if "requiredResourceAccess" in each["properties"])


def test_scopes_of_another_api_are_listed_once_for_the_api() -> None:
    graph, other = application("other-apis")["requiredResourceAccess"]
    assert graph == application("dev")["requiredResourceAccess"][0]
    assert other["resourceAppId"] == API
    assert [scope["id"][:8] for scope in other["resourceAccess"]] == ["77777777", "88888888"]


def test_consent_for_everybody_covers_other_apis_each_by_a_grant_of_its_own() -> None:
    grants = of_type("other-apis", "Microsoft.Graph/oauth2PermissionGrants@v1.0")
    assert [grant["properties"]["scope"] for grant in grants] == [
        "openid profile offline_access User.Read",
        "Orders.Read Orders.Write",
        "access_as_user",
    ]


def test_permission_of_graph_may_have_its_address_before_its_name() -> None:
    (graph,) = application("admin-consent")["requiredResourceAccess"]
    ids = json.loads((INFRA / "graph-permissions.json").read_text("utf-8"))
    assert ids["Calendars.Read"] in [each["id"] for each in graph["resourceAccess"]]
    grants = of_type("admin-consent", "Microsoft.Graph/oauth2PermissionGrants@v1.0")
    assert grants[0]["properties"]["scope"] == "openid profile offline_access User.Read Calendars.Read"


def test_known_clients_are_those_asked_for() -> None:
    assert application("dev")["api"]["knownClientApplications"] == []
    assert application("other-apis")["api"]["knownClientApplications"] == ["99999999-9999-4999-8999-999999999999"]


@pytest.mark.parametrize("name", ["dev", "private"])
def test_host_finds_its_storage_by_name_in_the_public_cloud_and_writes_no_tables(name: str) -> None:
    (settings,) = of_type(name, "Microsoft.Web/sites/config")
    text = settings["properties"]
    assert "if(equals(environment().name, 'AzureCloud'), createObject('AzureWebJobsStorage__accountName'" in text
    assert "'AzureWebJobsFeatureFlags', 'DisableDiagnosticEventLogging'" in text


def test_alerts_can_be_made_before_anything_was_logged() -> None:
    rules = of_type("alerts-budget", "Microsoft.Insights/scheduledQueryRules")
    assert rules
    assert all(rule["properties"]["skipQueryValidation"] for rule in rules)


@pytest.mark.parametrize(
    "line",
    [
        "Manifest: signInAudience = AzureADMultipleOrgs",
        "App role for users and groups: Admin",
        "App role for users, groups and applications: Reader",
        "App role for applications: Tasks.Run",
        "Delegated permissions of Microsoft Graph: openid User.Read Mail.Read Calendars.Read",
        "Enterprise application: assignment required",
        "Consent of an administrator for everybody, to these permissions and to the scopes",
    ],
)
def test_hand_off_has_what_somebody_else_s_application_has_to_be(line: str) -> None:
    assert f"'{line}'" in outputs("existing-registration")["ENTRA_HAND_OFF"]
