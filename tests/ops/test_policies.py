"""Policies that would refuse the deployment are found before it, with the variable that satisfies each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from ops.preflight.policies import POLICIES
from tests.support.azure.world import SUBSCRIPTION, Fault

if TYPE_CHECKING:
    from tests.ops.conftest import Ops
    from tests.support.azure.world import World

BUILT_IN = "/providers/Microsoft.Authorization/policyDefinitions"
INITIATIVE = (
    "/providers/Microsoft.Management/managementGroups/top/providers/Microsoft.Authorization/policySetDefinitions/x"
)
OWN = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/policyDefinitions/own"
PRIVATE_STORAGE = "b2982f36-99f2-4db5-8eff-283140c09693"
LOCATIONS = "e56962a6-4747-49cd-b67b-bf8b01975c4c"
SHORT_SECRETS = "342e8053-e12e-4c44-be01-c3c2f318400f"
EXPIRING_SECRETS = "98728c90-32c7-4049-8429-847dc0f4fe37"
PROTECTED_VAULTS = "0b60c0b2-2dc2-4e1c-b5c9-abbed971de53"


def define(world: World, identifier: str, *, effect: str = "[parameters('effect')]", default: str = "Audit") -> str:
    """A definition as Azure has it; its id."""
    parameters = {"effect": {"type": "String", "defaultValue": default}} if effect.startswith("[") else {}
    properties = {"parameters": parameters, "policyRule": {"if": {}, "then": {"effect": effect}}}
    world.resources[identifier.lower()] = {"id": identifier, "properties": properties}
    return identifier


def assign(world: World, definition: str, *, mode: str = "Default", **parameters: object) -> None:
    values = {name: {"value": value} for name, value in parameters.items()}
    properties = {
        "displayName": "Corporate rules",
        "policyDefinitionId": definition,
        "enforcementMode": mode,
        "parameters": values,
    }
    world.policy_assignments.append({"name": "rules", "properties": properties})


@pytest.mark.parametrize(
    ("guid", "parameters", "variables", "refused"),
    [
        (PRIVATE_STORAGE, {}, {}, True),
        (PRIVATE_STORAGE, {}, {"PRIVATE_NETWORK": "true"}, False),
        (PROTECTED_VAULTS, {}, {}, True),
        (PROTECTED_VAULTS, {}, {"DEPLOYMENT_PRESET": "prod"}, False),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {"CLIENT_SECRET_DAYS": "91"}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {"CLIENT_SECRET_DAYS": "90"}, False),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {"AUTH_MODE": "federated"}, False),
        (SHORT_SECRETS, {"maximumValidityInDays": 365}, {}, False),
        (EXPIRING_SECRETS, {}, {}, True),
        (LOCATIONS, {"listOfAllowedLocations": ["westeurope", "northeurope"]}, {}, True),
        (LOCATIONS, {"listOfAllowedLocations": ["westeurope", "swedencentral"]}, {}, False),
        (LOCATIONS, {"listOfAllowedLocations": ["westeurope"]}, {"AZURE_LOCATION": ""}, False),
    ],
)
def test_policy_is_found_unless_the_variables_satisfy_it(
    ready: Ops, guid: str, parameters: dict[str, Any], variables: dict[str, str], refused: bool
) -> None:
    ready.world.providers["Microsoft.Network"] = "Registered"
    fixed = "deny" if guid == LOCATIONS else "[parameters('effect')]"
    effect = {} if guid == LOCATIONS else {"effect": "Deny"}
    assign(ready.world, define(ready.world, f"{BUILT_IN}/{guid}", effect=fixed), **parameters, **effect)
    outcome = ready("preflight", **variables)
    assert outcome.code == (1 if refused else 0), outcome.text
    assert ("the assignment Corporate rules refuses" in outcome.text) is refused
    assert (POLICIES[guid].remedy in outcome.text) is refused
    assert ("none of 1 that are known refuses the deployment" in outcome.text) is not refused


@pytest.mark.parametrize(
    ("given", "default", "mode", "refused"),
    [
        ("Audit", "Deny", "Default", False),
        ("Disabled", "Deny", "Default", False),
        ("deny", "Audit", "Default", True),
        ("Deny", "Audit", "DoNotEnforce", False),
        (None, "Deny", "Default", True),
        (None, "Audit", "Default", False),
    ],
)
def test_only_an_effect_that_refuses_and_is_enforced_counts(
    ready: Ops, given: str | None, default: str, mode: str, refused: bool
) -> None:
    definition = define(ready.world, f"{BUILT_IN}/{PRIVATE_STORAGE}", default=default)
    assign(ready.world, definition, mode=mode, **({"effect": given} if given else {}))
    assert ready("preflight").code == (1 if refused else 0)


@pytest.mark.parametrize(
    ("member", "given", "refused"),
    [
        ({"effect": {"value": "Deny"}}, {}, True),
        ({"effect": {"value": "[parameters('storage')]"}}, {}, False),
        ({"effect": {"value": "[parameters('storage')]"}}, {"storage": "Deny"}, True),
        ({}, {"storage": "Deny"}, False),
    ],
)
def test_initiative_hands_its_parameters_on(
    ready: Ops, member: dict[str, Any], given: dict[str, str], refused: bool
) -> None:
    world = ready.world
    known = define(world, f"{BUILT_IN}/{PRIVATE_STORAGE}")
    others = [{"policyDefinitionId": f"{BUILT_IN}/{number}"} for number in range(200)]
    properties: dict[str, Any] = {
        "parameters": {"storage": {"defaultValue": "Audit"}},
        "policyDefinitions": [*others, {"policyDefinitionId": known, "parameters": member}],
    }
    world.resources[INITIATIVE.lower()] = {"id": INITIATIVE, "properties": properties}
    assign(world, INITIATIVE, **given)
    outcome = ready("preflight")
    assert outcome.code == (1 if refused else 0), outcome.text
    read = [path for _, path in world.requests if "/policyDefinitions/" in path]
    assert len(read) == 1, "not hundreds that say nothing of this deployment"


def test_policy_that_is_not_known_is_noted(ready: Ops) -> None:
    assign(ready.world, define(ready.world, OWN, effect="deny"))
    outcome = ready("preflight")
    assert outcome.code == 0, outcome.text
    assert "cannot be judged from here: Corporate rules" in outcome.text


def test_definition_that_is_gone_refuses_nothing(ready: Ops) -> None:
    assign(ready.world, OWN)
    assert ready("preflight").code == 0


def test_assignments_that_may_not_be_read_are_noted(ready: Ops) -> None:
    denied = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    ready.world.faults.append(Fault("GET", "/policyAssignments", 403, denied))
    outcome = ready("preflight")
    assert outcome.code == 0
    assert "note  policies" in outcome.text


def test_table_of_policies_is_documented_as_it_is_known() -> None:
    document = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    section = document.partition("\n### Policies\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (?!policy|---)(.+?) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(policy.name, policy.remedy) for policy in POLICIES.values()]
