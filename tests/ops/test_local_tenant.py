"""One command lets `make run` use a real tenant, and one takes all of it away, whatever happened in between."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from ops.client_secret import KEY_ID
from ops.doctor.settings import faults_of
from ops.local_tenant import STAND_IN_URL, STAND_INS, LocalSettings, Names
from tests.ops.test_postdown import DENIED, deleted_vault
from tests.support.azure.world import CLIENT_ID, OBJECT_ID, SUBSCRIPTION, TENANT, Fault, World

if TYPE_CHECKING:
    from tests.ops.conftest import Ops, Outcome

NAMES = Names(subscription=SUBSCRIPTION, person="operator")
BROKEN = {"error": {"code": "InternalError", "message": "broken"}}
MAKES = [
    ("PUT", f"/resourceGroups/{NAMES.group}"),
    ("PUT", f"/vaults/{NAMES.vault}"),
    ("PUT", "/roleAssignments/"),
    ("PATCH", "/applications("),
    ("PATCH", "/applications/"),
    ("POST", "/servicePrincipals"),
    ("PUT", "/secrets/jwt-signing-key"),
    ("POST", "/addPassword"),
    ("PUT", "/secrets/entra-client-secret"),
]
"""Everything that changes something, in its order."""


@pytest.fixture
def local(ops: Ops) -> Ops:
    """The root of a clone, and the deployment that azd knows, which is another matter."""
    (ops.root / "infra").mkdir()
    for name in ("local.settings.sample.json", "infra/graph-permissions.json"):
        shutil.copy(REPOSITORY / name, ops.root / name)
    return ops


def own(world: World) -> dict[str, Any]:
    (found,) = [one for one in world.applications.values() if one["uniqueName"] == NAMES.registration]
    return found


def settings(ops: Ops) -> dict[str, str]:
    return json.loads((ops.root / "local.settings.json").read_text("utf-8"))["Values"]


def scopes(world: World) -> list[str]:
    return [scope["value"] for scope in own(world)["api"]["oauth2PermissionScopes"]]


def change_sample(ops: Ops, **values: str) -> None:
    file = ops.root / "local.settings.sample.json"
    sample = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**sample, "Values": {**sample["Values"], **values}}), "utf-8")


def assert_made(ops: Ops, outcome: Outcome) -> None:
    assert outcome.code == 0, outcome.text
    world, application = ops.world, own(ops.world)
    assert application["identifierUris"] == [f"api://{application['appId']}"]
    assert application["web"] == {"redirectUris": ["http://localhost:7071/auth/callback"]}
    assert application["api"]["requestedAccessTokenVersion"] == 2
    assert scopes(world) == ["access_as_user"]
    assert application["appId"] in world.principals
    (role,) = world.role_assignments
    assert role["properties"]["principalId"] == "operator"
    kept = world.secrets[f"{NAMES.vault}/entra-client-secret"][-1]
    assert kept.value == world.secret_values[kept.tags[KEY_ID]]
    assert [entry["keyId"] for entry in application["passwordCredentials"]] == [kept.tags[KEY_ID]]
    assert len(world.secrets[f"{NAMES.vault}/jwt-signing-key"]) == 1
    values = settings(ops)
    assert values["ENTRA_CLIENT_ID"] == application["appId"]
    assert not STAND_INS & set(values) - {"ENTRA_AUTHORITY", "GRAPH_BASE_URL"}
    assert "ORDERS_API_URL" not in values
    assert not faults_of(values)
    assert kept.value not in outcome.text + json.dumps(values)


def test_everything_is_made_and_the_settings_are_ones_that_the_server_takes(local: Ops) -> None:
    assert_made(local, local("local-tenant"))
    assert settings(local)["ENTRA_TENANT_ID"] == TENANT
    assert settings(local)["KEY_VAULT_URL"] == f"https://{NAMES.vault}.vault.azure.net"
    assert local.world.applications[OBJECT_ID]["appId"] == CLIENT_ID, "azd's own is left alone"


@pytest.mark.parametrize("mode", ["federated", "verify"])
def test_registration_and_settings_of_a_fork_with_other_sign_in_fit_each_other(local: Ops, mode: str) -> None:
    change_sample(
        local,
        AUTH_MODE=mode,
        ENTRA_TENANT_ID="organizations",
        ENTRA_ALLOWED_TENANTS=TENANT,
        ENTRA_IDENTIFIER_URI="api://contoso.com/mcp",
        ENTRA_REQUIRED_SCOPES="orders.use, orders.read",
        ENTRA_OPTIONAL_SCOPES="orders.read orders.approve",
    )
    outcome = local("local-tenant")
    assert outcome.code == 0, outcome.text
    assert scopes(local.world) == ["orders.use", "orders.read", "orders.approve"]
    values = settings(local)
    assert values["AUTH_MODE"] == "proxy"
    assert values["ENTRA_REQUIRED_SCOPES"] == "orders.use, orders.read"
    assert not faults_of(values)
    assert not {"ENTRA_IDENTIFIER_URI", "ENTRA_ALLOWED_TENANTS"} & set(values)


def test_scope_that_the_sample_no_longer_names_stays(local: Ops) -> None:
    """https://learn.microsoft.com/graph/api/resources/permissionscope: one that is enabled cannot be deleted."""
    local("local-tenant")
    (first,) = own(local.world)["api"]["oauth2PermissionScopes"]
    change_sample(local, ENTRA_REQUIRED_SCOPES="orders.use")
    assert local("local-tenant").code == 0
    assert scopes(local.world) == ["orders.use", "access_as_user"]
    assert first in own(local.world)["api"]["oauth2PermissionScopes"]


def test_undo_that_is_printed_needs_nothing_of_azd(local: Ops) -> None:
    printed = local("local-tenant").text.partition("To take all of it away: python -m ops ")[2]
    outcome = local(*printed.split(), AZURE_TENANT_ID=None, AZURE_SUBSCRIPTION_ID=None, AZURE_LOCATION=None)
    assert outcome.code == 0, outcome.text
    assert list(local.world.applications) == [OBJECT_ID]


def test_policies_about_tags_and_expiry_can_be_satisfied(local: Ops) -> None:
    outcome = local("local-tenant", "--resource-tags", "owner=us; costs=a=b;", "--vault-expiry-date", "2999-03-01")
    assert_made(local, outcome)
    for identifier in (NAMES.group_id, NAMES.vault_id):
        assert local.world.resources[identifier.lower()]["tags"] == {"owner": "us", "costs": "a=b"}
    (key,) = local.world.secrets[f"{NAMES.vault}/jwt-signing-key"]
    assert key.expires == datetime(2999, 3, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("tags", ["owner:us", "owner=us;costs", "=us"])
def test_tags_of_another_form_stop_before_anything_is_made(local: Ops, tags: str) -> None:
    outcome = local("local-tenant", RESOURCE_TAGS=tags)
    assert outcome.code == 2
    assert "RESOURCE_TAGS (or --resource-tags) has to be NAME=value;NAME=value" in outcome.text
    assert {method for method, _ in local.world.requests} <= {"GET"}


def test_second_run_changes_nothing(local: Ops) -> None:
    local("local-tenant")
    before = json.dumps(own(local.world), sort_keys=True)
    local.world.role_assignments.clear()
    assert_made(local, local("local-tenant"))
    assert json.dumps(own(local.world), sort_keys=True) == before


@pytest.mark.parametrize(("method", "path"), MAKES)
def test_run_that_broke_off_is_finished_by_the_next(local: Ops, method: str, path: str) -> None:
    fault = Fault(method, path, 500, BROKEN)
    local.world.faults.append(fault)
    assert local("local-tenant").code == 1
    assert not fault.times
    local.world.role_assignments.clear()
    assert_made(local, local("local-tenant"))


def test_registration_that_is_not_known_everywhere_yet_is_waited_for(local: Ops) -> None:
    unknown = {"error": {"code": "Request_BadRequest", "message": "does not reference a valid application"}}
    missing = {"error": {"code": "Request_ResourceNotFound", "message": "does not exist"}}
    local.world.faults.extend(
        [
            Fault("GET", "/applications(uniqueName", 404, missing, times=3),
            Fault("PATCH", "/applications/", 404, missing, times=2),
            Fault("POST", "/servicePrincipals", 400, unknown, times=2),
        ]
    )
    assert_made(local, local("local-tenant"))
    assert len(local.waits) >= 6


def test_undo_takes_all_of_it_away_and_nothing_else(local: Ops) -> None:
    untouched = json.dumps([local.world.applications, local.world.resources], sort_keys=True)
    local("local-tenant")
    local.world.deleted_applications["other"] = {"id": "other", "appId": "other", "uniqueName": "other"}
    deleted_vault(local.world, "kv-other")
    for said in ("deleted for good", "there was none"):
        outcome = local("local-tenant", "--undo")
        assert outcome.code == 0, outcome.text
        assert said in outcome.text
        assert json.dumps([local.world.applications, local.world.resources], sort_keys=True) == untouched
        assert list(local.world.deleted_applications) == ["other"]
        assert list(local.world.deleted_vaults) == ["kv-other"]
        assert not (local.root / "local.settings.json").exists()
    local.world.role_assignments.clear()
    local.world.secrets.clear()
    assert_made(local, local("local-tenant"))


def test_undo_waits_until_the_deleted_registration_is_listed(local: Ops) -> None:
    local("local-tenant")
    local.world.faults.append(Fault("GET", "/deletedItems/", 200, {"value": []}, times=2))
    assert local("local-tenant", "--undo").code == 0
    assert not local.world.deleted_applications


def test_undo_of_a_registration_that_is_never_listed_says_to_run_it_again(local: Ops) -> None:
    local("local-tenant")
    unlisted = Fault("GET", "/deletedItems/", 200, {"value": []}, times=99)
    local.world.faults.append(unlisted)
    outcome = local("local-tenant", "--undo")
    assert outcome.code == 1
    assert "Run the command again" in outcome.text
    assert "deleted for good\n" not in outcome.text
    unlisted.times = 0
    outcome = local("local-tenant", "--undo")
    assert outcome.code == 0, outcome.text
    assert not local.world.deleted_applications


def test_undo_does_not_wait_for_what_it_did_not_delete(local: Ops) -> None:
    local("local-tenant")
    known = dict(own(local.world))
    local("local-tenant", "--undo")
    local.waits.clear()
    local.world.faults.append(Fault("GET", "/applications(", 200, known, times=2))
    outcome = local("local-tenant", "--undo")
    assert outcome.code == 0, outcome.text
    assert "registration           there was none" in outcome.text
    assert not local.waits


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/applications/"), ("DELETE", "/deletedItems/"), ("DELETE", "/vaults/"), ("POST", "/purge")],
)
def test_undo_that_broke_off_is_finished_by_the_next(local: Ops, method: str, path: str) -> None:
    local("local-tenant")
    local.world.faults.append(Fault(method, path, 500, BROKEN))
    assert local("local-tenant", "--undo").code == 1
    assert local("local-tenant", "--undo").code == 0
    assert list(local.world.applications) == [OBJECT_ID]
    assert not local.world.deleted_applications
    assert not local.world.deleted_vaults
    assert not [name for name in local.world.resources if NAMES.group in name]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_undo_of_an_account_that_may_not_purge_registrations_takes_the_rest_away(local: Ops, method: str) -> None:
    local("local-tenant")
    local.world.faults.append(Fault(method, "/deletedItems/", 403, DENIED, times=9))
    outcome = local("local-tenant", "--undo")
    assert outcome.code == 1
    assert "with the role Cloud Application Administrator: python -m ops local-tenant --undo" in outcome.text
    assert not local.world.deleted_vaults
    assert not [name for name in local.world.resources if NAMES.group in name]
    local.world.faults.clear()
    assert local("local-tenant", "--undo").code == 0
    assert not local.world.deleted_applications


def test_group_that_holds_something_else_stays(local: Ops) -> None:
    local("local-tenant")
    other = f"{NAMES.group_id}/providers/Microsoft.Storage/storageAccounts/mine"
    local.world.resources[other.lower()] = {"id": other, "type": "Microsoft.Storage/storageAccounts"}
    outcome = local("local-tenant", "--undo")
    assert outcome.code == 1
    assert "holds what this command did not make" in outcome.text
    assert other.lower() in local.world.resources


@pytest.mark.parametrize("text", ['{"Values": {"ENTRA_CLIENT_ID": "another"}}', "{", '{"Values": {}}'])
def test_settings_of_another_registration_are_neither_replaced_nor_removed(local: Ops, text: str) -> None:
    file = local.root / "local.settings.json"
    file.write_text(text, "utf-8")
    outcome = local("local-tenant")
    assert outcome.code == 1
    assert "Move it away" in outcome.text
    assert {method for method, _ in local.world.requests} == {"GET"}
    assert local("local-tenant", "--undo").code == 0
    assert file.read_text("utf-8") == text


def test_settings_that_cannot_be_read_stop_before_anything_is_deleted_or_made(local: Ops) -> None:
    local("local-tenant")
    file = local.root / "local.settings.json"
    file.unlink()
    file.mkdir()
    local.world.requests.clear()
    for arguments in (("local-tenant", "--undo"), ("local-tenant",)):
        outcome = local(*arguments)
        assert outcome.code == 1
        assert "local.settings.json cannot be read (IsADirectoryError)" in outcome.text
        assert "Move it away" in outcome.text
    assert {method for method, _ in local.world.requests} == {"GET"}


def test_vault_that_was_deleted_by_hand_is_told_how_to_get_back(local: Ops) -> None:
    deleted_vault(local.world, NAMES.vault, vaultId=NAMES.vault_id)
    outcome = local("local-tenant")
    assert outcome.code == 1
    assert f"az keyvault recover --name {NAMES.vault}" in outcome.text.partition("az group create")[2]


def test_names_are_ones_of_a_person_in_a_subscription() -> None:
    others = [Names(subscription=SUBSCRIPTION, person="b"), Names(subscription="b", person="operator")]
    assert len({NAMES.vault, *(other.vault for other in others)}) == 3
    assert NAMES.vault_id.endswith(f"/resourceGroups/{NAMES.group}/providers/Microsoft.KeyVault/vaults/{NAMES.vault}")
    assert len(NAMES.vault) <= 24


def test_settings_that_lead_to_the_stand_ins_are_those_of_the_sample() -> None:
    sample = json.loads((REPOSITORY / "local.settings.sample.json").read_text("utf-8"))["Values"]
    assert set(sample) >= STAND_INS
    kept = {
        name: value for name, value in sample.items() if name not in STAND_INS and not value.startswith(STAND_IN_URL)
    }
    assert not [name for name, value in kept.items() if "127.0.0.1" in value or ".local" in value]
    assert LocalSettings(REPOSITORY).base_url == sample["MCP_BASE_URL"]


def test_region_is_needed_to_make_and_not_to_undo(local: Ops) -> None:
    outcome = local("local-tenant", AZURE_LOCATION="")
    assert outcome.code == 2
    assert "AZURE_LOCATION" in outcome.text
    assert local("local-tenant", "--undo", AZURE_LOCATION="").code == 0
