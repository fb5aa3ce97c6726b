"""Another deployment of the same name is found before it is overwritten, and a group that was changed too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ops.test_remedies import Shell, findings
from tests.support.azure import FakeCredential
from tests.support.azure.world import GROUP, GROUP_ID, VAULT, VAULT_ID, Fault

if TYPE_CHECKING:
    from tests.ops.conftest import Ops
    from tests.support.azure.world import World

UNKNOWN: dict[str, str | None] = {"AZURE_KEY_VAULT_ID": None, "AZURE_KEY_VAULT_NAME": None}
"""What an environment of azd lacks that was never deployed, or whose folder was lost."""


def occupied(world: World, *, tag: str = "dev", record: str = "Succeeded", recorded_as: str = "dev") -> None:
    """The group holds a deployment of an environment that is called so too."""
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID, "tags": {"azd-env-name": tag}}
    world.resources[VAULT_ID.lower()] = {"id": VAULT_ID, "name": VAULT, "type": "Microsoft.KeyVault/vaults"}
    for number in range(3):
        world.deployments.append(recorded(f"other-{number}", "Succeeded"))
    world.deployments.append(recorded(recorded_as, record))


def recorded(environment: str, state: str) -> dict[str, Any]:
    return {"tags": {"azd-env-name": environment}, "properties": {"provisioningState": state}}


@pytest.mark.parametrize("number", [0, 1])
def test_deployment_that_this_environment_does_not_know_is_found_with_two_ways_out(ready: Ops, number: int) -> None:
    occupied(ready.world)
    outcome = ready("preflight", **UNKNOWN)
    assert outcome.code == 1
    assert "1 thing(s) to fix" in outcome.text
    assert f"FOUND resource group         {GROUP} holds {VAULT}" in outcome.text
    shell, (ways,) = Shell(ready), findings(outcome.text)
    assert ways == [["azd env refresh"], ["azd env new <name>"]]
    for command in ways[number]:
        shell(command)
    again = ready("preflight", **UNKNOWN | shell.changes)
    assert again.code == 0, again.text
    assert "note  resource group" not in again.text


@pytest.mark.parametrize(
    ("given", "noted"),
    [
        ({}, False),
        ({"tag": "prod"}, False),
        ({"record": "Failed"}, True),
        ({"recorded_as": "prod"}, True),
    ],
)
def test_group_is_only_noted_where_it_may_hold_what_a_failed_attempt_left(
    ready: Ops, given: dict[str, str], noted: bool
) -> None:
    """Whoever repairs a first attempt that failed half way has to get through."""
    occupied(ready.world, **given)
    if not given:
        del ready.world.resources[VAULT_ID.lower()]
    outcome = ready("preflight", **UNKNOWN)
    assert outcome.code == 0, outcome.text
    assert ("note  resource group" in outcome.text) is noted


def test_environment_that_knows_its_deployment_is_ready(ready: Ops) -> None:
    occupied(ready.world)
    assert ready("preflight").code == 0


def test_pipeline_keeps_no_state_and_is_only_noted(ready: Ops) -> None:
    occupied(ready.world)
    by_runner = ready("preflight", **UNKNOWN, CI="true")
    ready.credential = lambda tenant: FakeCredential(
        tenant, idtyp="app", oid="pipeline", roles=["Application.ReadWrite.All"]
    )
    for outcome in (by_runner, ready("preflight", **UNKNOWN)):
        assert outcome.code == 0, outcome.text
        assert f"note  resource group         {GROUP} holds {VAULT}" in outcome.text


@pytest.mark.parametrize("changed", ["rg-other", ""])
@pytest.mark.parametrize("number", [0, 1])
def test_group_that_was_changed_after_the_deployment_is_found(ready: Ops, changed: str, number: int) -> None:
    outcome = ready("preflight", AZURE_RESOURCE_GROUP=changed)
    assert outcome.code == 1
    assert f"FOUND resource group         {changed or 'rg-dev'} is not" in outcome.text
    shell, (ways,) = Shell(ready), findings(outcome.text)
    assert ways == [[f"azd env set AZURE_RESOURCE_GROUP {GROUP}"], ["azd env new <name>"]]
    for command in ways[number]:
        shell(command)
    assert ready("preflight", **{"AZURE_RESOURCE_GROUP": changed} | shell.changes).code == 0


def test_group_may_change_once_nothing_is_left_in_the_old_one(ready: Ops) -> None:
    del ready.world.resources[VAULT_ID.lower()]
    assert ready("preflight", AZURE_RESOURCE_GROUP="rg-other").code == 0
    assert ready("preflight", AZURE_RESOURCE_GROUP=GROUP.upper()).code == 0


def test_records_that_the_account_may_not_read_are_no_finding(ready: Ops) -> None:
    occupied(ready.world)
    denied = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    ready.world.faults.append(Fault("GET", "/Microsoft.Resources/deployments", 403, denied))
    outcome = ready("preflight", **UNKNOWN)
    assert outcome.code == 0, outcome.text
    assert "note  resource group         could not be looked at" in outcome.text
