"""What `azd down` leaves is listed, and purged only when asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.template import main
from tests.support.azure.world import (
    CLIENT_ID,
    GROUP,
    GROUP_ID,
    OBJECT_ID,
    SUBSCRIPTION,
    TENANT,
    UNIQUE_NAME,
    VAULT,
    VAULT_ID,
    Fault,
    World,
)

if TYPE_CHECKING:
    from tests.ops.conftest import Ops

DENIED = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}


def deleted_vault(world: World, name: str = VAULT, **changes: Any) -> None:  # noqa: ANN401 - any property
    world.deleted_vaults[name] = {
        "name": name,
        "properties": {
            "location": "swedencentral",
            "vaultId": VAULT_ID,
            "scheduledPurgeDate": "2027-02-20T10:00:00Z",
            "tags": {"azd-env-name": "dev"},
            **changes,
        },
    }


@pytest.fixture
def down(ops: Ops) -> World:
    """As `azd down` leaves it: the vault deleted, the registration deleted by hand, others' things beside them."""
    world = ops.world
    world.resources.clear()
    world.deleted_applications[OBJECT_ID] = world.applications.pop(OBJECT_ID)
    for number in range(5):
        identifier = f"other-{number}"
        world.deleted_applications[identifier] = {"id": identifier, "appId": identifier, "uniqueName": identifier}
        deleted_vault(world, f"kv-other-{number}", tags={"azd-env-name": "prod"})
    deleted_vault(world)
    world.page_size = 2
    return world


def test_without_purge_it_only_tells(ops: Ops, down: World) -> None:
    outcome = ops("postdown")
    assert outcome.code == 0
    assert f"{VAULT} is deleted, not purged" in outcome.text
    assert CLIENT_ID in outcome.text
    assert "python -m ops postdown --purge" in outcome.text
    assert {method for method, _ in down.requests} == {"GET"}


def test_purge_takes_this_deployments_own_and_nothing_else(ops: Ops, down: World) -> None:
    outcome = ops("postdown", "--purge")
    assert outcome.code == 0, outcome.text
    assert sorted(down.deleted_applications) == [f"other-{number}" for number in range(5)]
    assert sorted(down.deleted_vaults) == [f"kv-other-{number}" for number in range(5)]

    again = ops("postdown", "--purge")
    assert again.code == 0
    assert "nothing" in again.text


def test_registration_that_is_still_there_is_deleted_and_purged(ops: Ops, down: World) -> None:
    down.applications[OBJECT_ID] = down.deleted_applications.pop(OBJECT_ID)
    assert ops("postdown", "--purge").code == 0
    assert not down.applications
    assert OBJECT_ID not in down.deleted_applications


def test_vault_whose_name_is_not_known_is_told_and_not_purged(ops: Ops, down: World) -> None:
    outcome = ops("postdown", "--purge", AZURE_KEY_VAULT_NAME="")
    assert outcome.code == 0
    assert f"python -m ops postdown --purge --azure-key-vault-name {VAULT}" in outcome.text
    assert len(down.deleted_vaults) == 6
    assert ops("postdown", "--purge", "--azure-key-vault-name", VAULT).code == 0
    assert VAULT not in down.deleted_vaults


ANOTHER_GROUP = VAULT_ID.replace(GROUP, "rg-of-another-team")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (VAULT, {"vaultId": ANOTHER_GROUP}),
        ("kv-of-another-team", {}),
        ("kv-abcdefghij234x", {}),
        ("kv-abcdefghij231", {}),
        (VAULT, {"tags": {"azd-env-name": "prod"}}),
        (VAULT, {"tags": {}}),
        (VAULT, {"vaultId": ""}),
    ],
)
def test_vault_that_only_resembles_this_deployments_is_a_strangers(
    ops: Ops, down: World, name: str, changes: dict[str, Any]
) -> None:
    down.deleted_vaults.clear()
    deleted_vault(down, name, **changes)
    outcome = ops("postdown", "--purge", AZURE_KEY_VAULT_NAME=None, AZURE_KEY_VAULT_ID=None)
    assert outcome.code == 0
    assert name not in outcome.text
    assert name in down.deleted_vaults


def test_vault_of_another_resource_group_is_not_purged_though_its_name_is_given(ops: Ops, down: World) -> None:
    deleted_vault(down, vaultId=ANOTHER_GROUP)
    outcome = ops("postdown", "--purge")
    assert outcome.code == 0
    assert "was in the resource group rg-of-another-team" in outcome.text
    assert VAULT in down.deleted_vaults


def test_purge_wants_to_know_the_group_that_has_to_be_gone(ops: Ops, down: World) -> None:
    outcome = ops("postdown", "--purge", AZURE_RESOURCE_GROUP="", AZURE_ENV_NAME="", AZURE_KEY_VAULT_ID="")
    assert outcome.code == 2
    assert "AZURE_RESOURCE_GROUP" in outcome.text
    assert VAULT in down.deleted_vaults


def test_deployment_that_is_there_is_not_purged(ops: Ops, world: World) -> None:
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    outcome = ops("postdown", "--purge")
    assert outcome.code == 1
    assert "azd down" in outcome.text
    assert world.applications
    assert {method for method, _ in world.requests} == {"GET"}


MISTAKEN: list[tuple[str, tuple[str, ...], dict[str, str | None]]] = [
    ("SubscriptionNotFound", ("--azure-subscription-id", SUBSCRIPTION.replace("9", "8")), {}),
    ("SubscriptionNotFound", (), {"AZURE_SUBSCRIPTION_ID": "8", "AZURE_KEY_VAULT_ID": None}),
    (f"The resource group {GROUP} is still there", ("--azure-resource-group", "rg-mcp-dve"), {}),
    (f"The resource group {GROUP} is still there", (), {"AZURE_RESOURCE_GROUP": "rg-of-tomorrow"}),
    (f"The vault {VAULT_ID} is still there", (), {"AZURE_RESOURCE_GROUP": "rg-mcp-dve", "AZURE_KEY_VAULT_ID": None}),
]


@pytest.mark.parametrize(("says", "options", "changes"), MISTAKEN)
def test_deployment_that_is_there_is_not_purged_though_a_name_is_mistaken(
    ops: Ops, world: World, says: str, options: tuple[str, ...], changes: dict[str, str | None]
) -> None:
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    outcome = ops("postdown", "--purge", *options, **changes)
    assert outcome.code == 1
    assert says in outcome.text
    assert world.applications
    assert {method for method, _ in world.requests} == {"GET"}


def test_named_environment_is_purged_in_a_shell_of_another_one_that_is_there(ops: Ops, world: World) -> None:
    """The shell has the outputs of `dev`, which is alive; azd has forgotten those of `old`."""
    old = {"AZURE_ENV_NAME": "old", "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "AZURE_RESOURCE_GROUP": "rg-mcp-old"}
    names = {"AZURE_KEY_VAULT_NAME": "kv-old", "ENTRA_APP_UNIQUE_NAME": "entra-mcp-old", "AZURE_TENANT_ID": TENANT}
    folder = ops.root / ".azure" / "old"
    folder.mkdir(parents=True)
    (folder / ".env").write_text("".join(f'{name}="{value}"\n' for name, value in old.items()))
    (folder / "deployment.json").write_text(json.dumps(old | names))
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    world.add_application(id="old", appId="old", uniqueName="entra-mcp-old")
    deleted_vault(world, "kv-old", vaultId=VAULT_ID.replace(GROUP, "rg-mcp-old"))

    outcome = ops("postdown", "--purge", "--environment", "old")

    assert outcome.code == 0, outcome.text
    assert list(world.applications) == [OBJECT_ID]
    assert not world.deleted_applications
    assert not world.deleted_vaults


def test_registration_of_somebody_else_is_left_alone(ops: Ops, down: World) -> None:
    down.applications[OBJECT_ID] = down.deleted_applications.pop(OBJECT_ID)
    outcome = ops("postdown", "--purge", ENTRA_APP_UNIQUE_NAME="")
    assert outcome.code == 0
    assert OBJECT_ID in down.applications


def test_protected_vault_is_told_with_its_day(ops: Ops, down: World) -> None:
    deleted_vault(down, purgeProtectionEnabled=True)
    assert ops("postdown").code == 0, "a hook does not fail over what it was not asked to do"
    outcome = ops("postdown", "--purge")
    assert outcome.code == 1
    assert "2027-02-20" in outcome.text
    assert f"az group create --name {GROUP}" in outcome.text.partition(f"az keyvault recover --name {VAULT}")[0]
    assert VAULT in down.deleted_vaults


@pytest.mark.parametrize("path", ["/purge", f"/deletedItems/{OBJECT_ID}"])
def test_gone_meanwhile_is_well(ops: Ops, down: World, path: str) -> None:
    method = "POST" if path == "/purge" else "DELETE"
    down.faults.append(Fault(method, path, 404, {"error": {"code": "NotFound", "message": "gone"}}))
    assert ops("postdown", "--purge").code == 0


def test_without_any_inputs_the_hook_is_content(ops: Ops) -> None:
    gone = dict.fromkeys(("AZURE_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "ENTRA_TENANT_ID", "AZURE_KEY_VAULT_ID"))
    outcome = ops("postdown", **gone)
    assert outcome.code == 0
    assert ops("postdown", "--purge", **gone).code == 2


@pytest.fixture
def forgotten(ops: Ops) -> dict[str, None]:
    """The variables that azd deletes with the infrastructure, and those that nobody need have set."""
    (ops.root / ".azure" / "dev").mkdir(parents=True)
    known = ops.cloud.environment()
    unset = {"AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AUTH_MODE", "ENTRA_TENANT_ID"}
    return dict.fromkeys(name for name in known if name in set(main().of("output")) | unset)


@pytest.mark.parametrize("writer", ["postprovision", "predown"])
def test_purge_works_when_azd_has_forgotten_the_deployment(
    ops: Ops, down: World, forgotten: dict[str, None], writer: str
) -> None:
    given = {name: None for name in forgotten if name.startswith("AZURE_") and "VAULT" not in name}
    down.resources[VAULT_ID.lower()] = {"id": VAULT_ID, "type": "Microsoft.KeyVault/vaults"}
    down.applications[OBJECT_ID] = down.deleted_applications.pop(OBJECT_ID)
    assert ops(writer, **given, AZURE_DIRECTORY_ID=TENANT).code == 0
    written = (ops.root / ".azure" / "dev" / "deployment.json").read_text("utf-8")
    assert not [value for value in down.secret_values.values() if value in written]
    down.resources.clear()

    outcome = ops("postdown", "--purge", **forgotten)

    assert outcome.code == 0, outcome.text
    assert not down.applications
    assert sorted(down.deleted_applications) == [f"other-{number}" for number in range(5)]
    assert sorted(down.deleted_vaults) == [f"kv-other-{number}" for number in range(5)]


def test_deployment_that_is_there_is_not_purged_though_azd_forgot_its_group(
    ops: Ops, world: World, forgotten: dict[str, None]
) -> None:
    assert ops("predown").code == 0
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    outcome = ops("postdown", "--purge", **forgotten)
    assert outcome.code == 1
    assert "azd down" in outcome.text
    assert world.applications


def test_what_was_kept_of_one_subscription_is_not_used_in_another(
    ops: Ops, down: World, forgotten: dict[str, None]
) -> None:
    assert ops("predown").code == 0
    outcome = ops("postdown", "--purge", **{**forgotten, "AZURE_SUBSCRIPTION_ID": "other", "AZURE_TENANT_ID": TENANT})
    assert outcome.code == 1
    assert OBJECT_ID in down.deleted_applications
    assert VAULT in down.deleted_vaults


def test_predown_leaves_what_was_kept_when_azd_knows_nothing_any_more(ops: Ops, forgotten: dict[str, None]) -> None:
    file = ops.root / ".azure" / "dev" / "deployment.json"
    assert ops("predown").code == 0
    before = file.read_text("utf-8")
    assert ops("predown", **forgotten).code == 0
    assert file.read_text("utf-8") == before
    assert UNIQUE_NAME in before


def test_hook_looks_at_the_environment_it_runs_for_and_not_at_azds_default(ops: Ops, down: World) -> None:
    for name in ("dev", "prod"):
        (ops.root / ".azure" / name).mkdir(parents=True)
        (ops.root / ".azure" / name / ".env").write_text("")
    (ops.root / ".azure" / "config.json").write_text('{"defaultEnvironment": "dev"}')
    (ops.root / ".azure" / "dev" / ".env").write_text(f'ENTRA_APP_UNIQUE_NAME="{UNIQUE_NAME}"\n')
    outcome = ops("postdown", "--purge", AZURE_ENV_NAME="prod", ENTRA_APP_UNIQUE_NAME=None, AZURE_KEY_VAULT_NAME=None)
    assert outcome.code == 0, outcome.text
    assert OBJECT_ID in down.deleted_applications


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_account_that_may_not_purge_registrations_purges_the_vault_all_the_same(
    ops: Ops, down: World, method: str
) -> None:
    down.faults.append(Fault(method, "/deletedItems/", 403, DENIED, times=9))
    outcome = ops("postdown", "--purge")
    assert outcome.code == 1
    assert "with the role Cloud Application Administrator: python -m ops postdown --purge" in outcome.text
    assert VAULT not in down.deleted_vaults
    down.faults.clear()
    assert ops("postdown", "--purge").code == 0
    assert OBJECT_ID not in down.deleted_applications


def test_registration_that_the_account_may_not_delete_is_not_called_deleted(ops: Ops, down: World) -> None:
    down.applications[OBJECT_ID] = down.deleted_applications.pop(OBJECT_ID)
    down.faults.append(Fault("DELETE", f"/applications/{OBJECT_ID}", 403, DENIED))
    outcome = ops("postdown", "--purge")
    assert outcome.code == 1
    assert "30 days" not in outcome.text
    assert f"/applications/{OBJECT_ID}" in outcome.text


def test_hook_of_an_account_that_may_not_list_deleted_registrations_shows_the_vault(ops: Ops, down: World) -> None:
    down.faults.append(Fault("GET", "/deletedItems/", 403, DENIED, times=9))
    outcome = ops("postdown")
    assert outcome.code == 0
    assert f"{VAULT} is deleted, not purged" in outcome.text


def test_refused_purge_names_the_right_that_lacks(ops: Ops, down: World) -> None:
    body = {"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization."}}
    down.faults.append(Fault("POST", "/purge", 403, body))
    outcome = ops("postdown", "--purge")
    assert outcome.code == 1
    assert "Contributor" in outcome.text
    assert UNIQUE_NAME not in {one["uniqueName"] for one in down.deleted_applications.values()}
