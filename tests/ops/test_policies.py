"""Policies that would refuse the deployment are found before it, with the variable that satisfies each."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from ops.preflight.policies import POLICIES
from tests.support.azure.world import GROUP_ID, SUBSCRIPTION, Fault

if TYPE_CHECKING:
    from tests.ops.conftest import Ops
    from tests.support.azure.world import World

BUILT_IN = "/providers/Microsoft.Authorization/policyDefinitions"
ABOVE = "/providers/Microsoft.Management/managementGroups/top"
INITIATIVE = f"{ABOVE}/providers/Microsoft.Authorization/policySetDefinitions/x"
WITHIN = f"/subscriptions/{SUBSCRIPTION}"
OWN = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/policyDefinitions/own"
PRIVATE_STORAGE = "b2982f36-99f2-4db5-8eff-283140c09693"
LOCATIONS = "e56962a6-4747-49cd-b67b-bf8b01975c4c"
SHORT_SECRETS = "342e8053-e12e-4c44-be01-c3c2f318400f"
EXPIRING_SECRETS = "98728c90-32c7-4049-8429-847dc0f4fe37"
TAG = "871b6d14-10aa-478d-b590-94f262ecfa99"
TAG_AND_VALUE = "1e30110a-5ceb-460c-a204-c1c3969c6d62"
PROTECTED_VAULTS = "0b60c0b2-2dc2-4e1c-b5c9-abbed971de53"
SOON, LATE = ({"VAULT_EXPIRY_DATE": f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"} for days in (60, 120))


def define(world: World, identifier: str, *, effect: str = "[parameters('effect')]", default: str = "Audit") -> str:
    """A definition as Azure has it; its id."""
    parameters = {"effect": {"type": "String", "defaultValue": default}} if effect.startswith("[") else {}
    properties = {"parameters": parameters, "policyRule": {"if": {}, "then": {"effect": effect}}}
    world.resources[identifier.lower()] = {"id": identifier, "properties": properties}
    return identifier


def assign(world: World, definition: str, *, mode: str = "Default", scope: str = ABOVE, **parameters: object) -> None:
    values = {name: {"value": value} for name, value in parameters.items()}
    properties: dict[str, Any] = {
        "displayName": "Corporate rules",
        "policyDefinitionId": definition,
        "enforcementMode": mode,
        "parameters": values,
    }
    identifier = f"{scope}/providers/Microsoft.Authorization/policyAssignments/rules"
    world.policy_assignments.append({"id": identifier, "name": "rules", "properties": properties})


def exempt(world: World, *, scope: str = GROUP_ID, **properties: object) -> None:
    """From the first assignment."""
    found = {"policyAssignmentId": world.policy_assignments[0]["id"].lower(), **properties}
    identifier = f"{scope}/providers/Microsoft.Authorization/policyExemptions/ours"
    world.policy_exemptions.append({"id": identifier, "properties": found})


@pytest.mark.parametrize(
    ("guid", "parameters", "variables", "refused"),
    [
        (PRIVATE_STORAGE, {}, {}, True),
        (PRIVATE_STORAGE, {}, {"PRIVATE_NETWORK": "true"}, False),
        (PROTECTED_VAULTS, {}, {}, True),
        (PROTECTED_VAULTS, {}, {"DEPLOYMENT_PRESET": "prod"}, False),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {"CLIENT_SECRET_DAYS": "90"}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, {"AUTH_MODE": "federated"}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, SOON, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, SOON | {"CLIENT_SECRET_DAYS": "91"}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, SOON | {"CLIENT_SECRET_DAYS": "90"}, False),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, SOON | {"AUTH_MODE": "federated"}, False),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, LATE | {"CLIENT_SECRET_DAYS": "90"}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 90}, LATE | {"AUTH_MODE": "federated"}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 365}, {}, True),
        (SHORT_SECRETS, {"maximumValidityInDays": 365}, SOON, False),
        (PROTECTED_VAULTS, {}, {"VAULT_PURGE_PROTECTION": "true"}, False),
        (EXPIRING_SECRETS, {}, {}, True),
        (EXPIRING_SECRETS, {}, {"VAULT_EXPIRY_DATE": "2099-03-01"}, False),
        (TAG, {"tagName": "owner"}, {}, True),
        (TAG, {"tagName": "owner"}, {"RESOURCE_TAGS": "costs=7"}, True),
        (TAG, {"tagName": "Owner"}, {"RESOURCE_TAGS": "costs=7; owner=us"}, False),
        (TAG_AND_VALUE, {"tagName": "owner", "tagValue": "us"}, {"RESOURCE_TAGS": "owner=you"}, True),
        (TAG_AND_VALUE, {"tagName": "owner", "tagValue": "us"}, {"RESOURCE_TAGS": "owner=us"}, False),
        (LOCATIONS, {"listOfAllowedLocations": ["westeurope", "northeurope"]}, {}, True),
        (LOCATIONS, {"listOfAllowedLocations": ["westeurope", "swedencentral"]}, {}, False),
        (LOCATIONS, {"listOfAllowedLocations": ["westeurope"]}, {"AZURE_LOCATION": ""}, False),
    ],
)
def test_policy_is_found_unless_the_variables_satisfy_it(
    ready: Ops, guid: str, parameters: dict[str, Any], variables: dict[str, str], refused: bool
) -> None:
    ready.world.providers["Microsoft.Network"] = "Registered"
    without = guid in {LOCATIONS, TAG, TAG_AND_VALUE}
    fixed, effect = ("deny", {}) if without else ("[parameters('effect')]", {"effect": "Deny"})
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


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize(
    ("scope", "counts_before"), [(ABOVE, True), (WITHIN, True), (GROUP_ID, False), (f"{GROUP_ID}-other", False)]
)
def test_assignment_counts_at_the_group_that_exists_and_above_it(
    ready: Ops, scope: str, counts_before: bool, made: bool
) -> None:
    ready.world.resources.pop(GROUP_ID.lower(), None)
    if made:
        ready.world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    assign(ready.world, define(ready.world, f"{BUILT_IN}/{PRIVATE_STORAGE}"), scope=scope, effect="Deny")
    refused = counts_before or (made and scope == GROUP_ID)
    assert ready("preflight").code == (1 if refused else 0)


NOT_JUDGED = "cannot be judged from here: Corporate rules"


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        ({"notScopes": [GROUP_ID.upper()]}, 0, "none of 0 that are known"),
        ({"notScopes": [WITHIN]}, 0, "none of 0 that are known"),
        ({"notScopes": [f"{GROUP_ID}-other", f"{WITHIN}/resourceGroups/rg"]}, 1, "refuses: "),
        ({"notScopes": ["/providers/Microsoft.Management/managementGroups/perhaps"]}, 0, NOT_JUDGED),
        ({"overrides": [{"kind": "policyEffect", "value": "Audit"}]}, 0, NOT_JUDGED),
        ({"resourceSelectors": [{"name": "ours"}]}, 0, NOT_JUDGED),
        ({"notScopes": list[str](), "overrides": list[str](), "resourceSelectors": list[str]()}, 1, "refuses: "),
    ],
)
def test_what_an_assignment_leaves_out_is_no_finding(ready: Ops, more: dict[str, Any], code: int, text: str) -> None:
    assign(ready.world, define(ready.world, f"{BUILT_IN}/{PRIVATE_STORAGE}"), effect="Deny")
    ready.world.policy_assignments[0]["properties"].update(more)
    outcome = ready("preflight")
    assert (outcome.code, text in outcome.text) == (code, True), outcome.text
    if text == NOT_JUDGED:
        satisfied = ready("preflight", PRIVATE_NETWORK="true")
        assert NOT_JUDGED not in satisfied.text


def test_override_that_refuses_is_noted_where_the_effect_itself_does_not(ready: Ops) -> None:
    assign(ready.world, define(ready.world, f"{BUILT_IN}/{PRIVATE_STORAGE}"), effect="Audit")
    assert NOT_JUDGED not in ready("preflight").text
    override = {"overrides": [{"kind": "policyEffect", "value": "Deny"}]}
    ready.world.policy_assignments[0]["properties"].update(override)
    outcome = ready("preflight")
    assert (outcome.code, NOT_JUDGED in outcome.text) == (0, True), outcome.text


@pytest.mark.parametrize(
    ("scope", "exemption", "code", "text"),
    [
        (GROUP_ID, {}, 0, "none of 0 that are known"),
        (WITHIN, {"expiresOn": "2999-01-01T00:00:00Z"}, 0, "none of 0 that are known"),
        (GROUP_ID, {"expiresOn": "2020-01-01T00:00:00.1234567Z"}, 1, "refuses: "),
        (GROUP_ID, {"policyAssignmentId": f"{WITHIN}/other"}, 1, "refuses: "),
        (f"{GROUP_ID}-other", {}, 1, "refuses: "),
        (GROUP_ID, {"resourceSelectors": [{"name": "ours"}]}, 0, NOT_JUDGED),
        (GROUP_ID, {"policyDefinitionReferenceIds": ["storage"]}, 0, "none of 0 that are known"),
        (GROUP_ID, {"policyDefinitionReferenceIds": ["vault"]}, 1, "refuses: "),
    ],
)
def test_exemption_counts_while_it_is_good_and_for_what_it_names(
    ready: Ops, scope: str, exemption: dict[str, Any], code: int, text: str
) -> None:
    world = ready.world
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    member = {
        "policyDefinitionId": define(world, f"{BUILT_IN}/{PRIVATE_STORAGE}", default="Deny"),
        "policyDefinitionReferenceId": "storage",
    }
    world.resources[INITIATIVE.lower()] = {"id": INITIATIVE, "properties": {"policyDefinitions": [member]}}
    assign(world, INITIATIVE)
    exempt(world, scope=scope, **exemption)
    outcome = ready("preflight")
    assert (outcome.code, text in outcome.text) == (code, True), outcome.text


@pytest.mark.parametrize("unreadable", ["definition", "initiative", "member"])
def test_definition_from_which_the_group_is_exempt_need_not_be_readable(ready: Ops, unreadable: str) -> None:
    world, secret = ready.world, define(ready.world, f"{ABOVE}{BUILT_IN}/secret", effect="deny")
    world.resources[GROUP_ID.lower()] = {"id": GROUP_ID}
    members = [{"policyDefinitionId": secret, "policyDefinitionReferenceId": "secret"}]
    world.resources[INITIATIVE.lower()] = {"id": INITIATIVE, "properties": {"policyDefinitions": members}}
    assign(world, secret if unreadable == "definition" else INITIATIVE)
    exempt(world, policyDefinitionReferenceIds=["secret"] if unreadable == "member" else [])
    assign(world, define(world, f"{BUILT_IN}/{PRIVATE_STORAGE}", effect="deny"), scope=WITHIN)
    denied = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    world.faults.append(Fault("GET", INITIATIVE if unreadable == "initiative" else secret, 403, denied))
    outcome = ready("preflight")
    assert outcome.code == 1, outcome.text
    assert "the assignment Corporate rules refuses" in outcome.text


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
