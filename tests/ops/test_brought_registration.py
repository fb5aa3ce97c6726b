"""Where the registration is somebody else's: what a person put into the vault stays, and a refusal says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.vault import PLACEHOLDER
from tests.ops.test_postprovision import DENIED, OWN, SECRET, assert_well, held_secret, refused_by_policy
from tests.support.azure.world import VAULT, Fault, World

if TYPE_CHECKING:
    from tests.ops.conftest import Ops


def test_secret_put_in_by_hand_stays_where_the_registration_is_somebody_elses(ops: Ops, world: World) -> None:
    world.put_secret(SECRET, "from an administrator", days_ago=3)
    world.faults.append(Fault("GET", "/applications", 403, DENIED, times=100))
    outcome = ops("postprovision", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 0, outcome.text
    assert "by hand" in outcome.text
    assert len(world.secrets[SECRET]) == 1

    outcome = ops("rotate", "client-secret", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 1
    assert f"az keyvault secret set --vault-name {VAULT} --name {SECRET}" in outcome.text


def test_secret_put_in_by_hand_stays_though_the_account_may_change_the_registration(ops: Ops, world: World) -> None:
    world.put_secret(SECRET, "from an administrator", days_ago=3)
    outcome = ops("postprovision", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 0, outcome.text
    assert "by hand" in outcome.text
    assert (len(world.secrets[SECRET]), world.passwords()) == (1, [])

    assert ops("rotate", "client-secret", ENTRA_APP_OBJECT_ID="").code == 0
    assert_well(world, generations=1)


def test_registration_of_somebody_else_that_can_be_read_alone(ops: Ops, world: World) -> None:
    """As every member of a directory can; only `addPassword` and `removePassword` are refused."""
    world.faults.extend(Fault("POST", path, 403, DENIED, times=100) for path in ("/addPassword", "/removePassword"))
    outcome = ops("postprovision", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 1
    assert f"az keyvault secret set --vault-name {VAULT} --name {SECRET}" in outcome.text
    assert "Key Vault Secrets Officer" in outcome.text
    assert SECRET not in world.secrets

    by_hand = world.put_secret(SECRET, "from its owner", days_ago=3)
    assert ops("postprovision", ENTRA_APP_OBJECT_ID="").code == 0
    by_hand.expires = int(world.now().timestamp()) - 60
    assert ops("postprovision", ENTRA_APP_OBJECT_ID="").code == 1, "it is of no use any more"

    held_secret(world, days=100)
    world.add_password(name=OWN, days=100)
    outcome = ops("postprovision", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 0, outcome.text
    assert "good until" in outcome.text


def test_refusal_of_the_vault_is_none_of_the_registration(ops: Ops, world: World) -> None:
    world.faults.append(refused_by_policy())
    outcome = ops("postprovision", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 1
    assert "ForbiddenByPolicy" in outcome.text


def test_placeholder_of_the_infrastructure_counts_for_no_secret(ops: Ops, world: World) -> None:
    world.put_secret(SECRET, "not set yet").content_type = PLACEHOLDER
    world.faults.append(Fault("GET", "/applications", 403, DENIED, times=1))
    outcome = ops("postprovision", ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 1
    assert "Ask whoever keeps it" in outcome.text

    assert ops("postprovision").code == 0
    assert_well(world, generations=1)


def test_registration_that_is_still_to_be_made_is_no_failure(ops: Ops, world: World) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    outcome = ops("postprovision", ENTRA_CLIENT_ID=nobody, ENTRA_APP_OBJECT_ID="")
    assert outcome.code == 0
    assert "azd env get-value ENTRA_HAND_OFF" in outcome.text
    assert list(world.secrets) == ["jwt-signing-key"]


def test_registration_of_somebody_else_is_used_when_it_may_be_changed(ops: Ops, world: World) -> None:
    assert ops("postprovision", ENTRA_APP_OBJECT_ID="").code == 0
    assert_well(world, generations=1)
