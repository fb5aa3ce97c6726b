"""Where people have to be assigned nobody consents for themselves: an administrator has to, and may do it by hand."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from tests.support.azure import FakeCredential
from tests.support.azure.cli import AzureCli
from tests.support.azure.deployment import deploy
from tests.support.azure.world import CLIENT_ID, ENTERPRISE_ID, GRAPH_PRINCIPAL_ID, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ops.conftest import Ops, Outcome
    from tests.support.azure.world import World

NEW = dict.fromkeys(("AZURE_KEY_VAULT_NAME", "AZURE_KEY_VAULT_ID", "ENTRA_CLIENT_ID", "ENTRA_APP_UNIQUE_NAME"))
ORDERS, UNKNOWN = "aaaaaaaa-1111-4111-8111-111111111111", "bbbbbbbb-1111-4111-8111-111111111111"
ASSIGNED = {"ENTRA_ASSIGNMENT_REQUIRED": "true"}


def grant(resource: str, scope: str, kind: str = "AllPrincipals") -> dict[str, Any]:
    return {"id": scope, "clientId": ENTERPRISE_ID, "consentType": kind, "resourceId": resource, "scope": scope}


def consented(world: World) -> None:
    world.grants[:] = [grant(ENTERPRISE_ID, "access_as_user"), grant(GRAPH_PRINCIPAL_ID, "User.Read openid")]


def remedies(outcome: Outcome) -> list[str]:
    """The commands of the one finding."""
    assert outcome.text.count("FOUND") == 1, outcome.text
    lines = outcome.text.partition("fix: ")[2].splitlines()
    return [line.strip() for line in lines if line.strip().startswith("az ")]


@pytest.fixture
def registered(ready: Ops) -> Ops:
    ready.world.applications.clear()
    deploy(ready.world, base_url="https://mcp.contoso.com")
    return ready


@pytest.mark.parametrize("mode", ["proxy", "federated"])
def test_assignment_without_consent_is_found_before_the_first_deployment(ready: Ops, mode: str) -> None:
    outcome = ready("preflight", **NEW, **ASSIGNED, AUTH_MODE=mode)
    assert outcome.code == 1
    assert "nobody can sign in before an administrator consented" in outcome.text
    assert "azd env set ENTRA_ADMIN_CONSENT true" in outcome.text


@pytest.mark.parametrize(
    "changes", [{}, {"ENTRA_ASSIGNMENT_REQUIRED": "false"}, {**ASSIGNED, "AUTH_MODE": "verify"}], ids=str
)
def test_consent_is_no_matter_where_people_consent_or_nobody_signs_in(ready: Ops, changes: dict[str, str]) -> None:
    assert ready("preflight", **{**NEW, **changes}).code == 0


@pytest.mark.parametrize(
    ("held", "lacking"),
    [
        ([], "access_as_user User.Read"),
        ([grant(ENTERPRISE_ID, "access_as_user")], "User.Read"),
        ([grant(GRAPH_PRINCIPAL_ID, "User.Read")], "access_as_user"),
        ([grant(ENTERPRISE_ID, "other"), grant(GRAPH_PRINCIPAL_ID, "Mail.Read")], "access_as_user User.Read"),
        ([grant(ENTERPRISE_ID, "it's;exit")], "access_as_user User.Read"),
        (
            [grant(ENTERPRISE_ID, "access_as_user", "Principal"), grant(GRAPH_PRINCIPAL_ID, "User.Read", "Principal")],
            "access_as_user User.Read",
        ),
    ],
)
def test_lacking_consent_is_found_and_given_by_the_commands(
    registered: Ops, held: list[dict[str, Any]], lacking: str
) -> None:
    registered.world.grants[:] = held
    outcome = registered("preflight", **ASSIGNED)
    assert outcome.code == 1
    assert f"no administrator consented to {lacking}\n" in outcome.text
    az = AzureCli(registered.cloud)
    for command in remedies(outcome):
        az(command)
    assert registered("preflight", **ASSIGNED).code == 0


def test_consent_by_hand_counts_for_preflight(registered: Ops) -> None:
    consented(registered.world)
    outcome = registered("preflight", **ASSIGNED)
    assert outcome.code == 0, outcome.text
    assert "an administrator consented for everybody" in outcome.text


def test_more_scopes_want_more_consent(registered: Ops) -> None:
    consented(registered.world)
    outcome = registered("preflight", **ASSIGNED, ENTRA_ADDITIONAL_SCOPES="User.Read,Calendars.Read")
    assert "no administrator consented to Calendars.Read\n" in outcome.text


@pytest.mark.parametrize(
    ("scopes", "permissions", "lacking"),
    [
        (f"{ORDERS}/Orders.Read", "", f"{ORDERS}/Orders.Read"),
        ("api://orders/Orders.Read", "", "api://orders/Orders.Read"),
        ("https://graph.microsoft.com/Mail.Read", "", "Mail.Read"),
        ("Mail.Read https://graph.microsoft.com/Mail.Read", "", "Mail.Read"),
        ("https://graph.microsoft.com//User.Read", "", ""),
        (f"{ORDERS}/.default", "", ""),
        ("", f"{ORDERS}/Orders.Read/1 {ORDERS}/Orders.Write/2", f"{ORDERS}/Orders.Read {ORDERS}/Orders.Write"),
        (f"{ORDERS}/Orders.Read", f"{ORDERS}/Orders.Read/1", f"{ORDERS}/Orders.Read"),
        (f"{UNKNOWN}/Costs.Read", "", f"{UNKNOWN}/Costs.Read"),
    ],
)
@pytest.mark.parametrize("command", ["doctor", "preflight"])
def test_scopes_of_other_apis_want_consent_too(
    ready: Ops, doctor: Callable[..., Outcome], command: str, scopes: str, permissions: str, lacking: str
) -> None:
    world, asked = ready.world, f"openid User.Read {scopes}"
    assigned(world)
    consented(world)
    world.app_settings["ENTRA_ADDITIONAL_SCOPES"] = asked
    world.principals[ORDERS] = {"id": "orders", "servicePrincipalNames": [ORDERS, "api://orders"]}
    run = doctor if command == "doctor" else partial(ready, command, **ASSIGNED, ENTRA_ADDITIONAL_SCOPES=asked)
    az = AzureCli(ready.cloud)
    for _ in range(2 if UNKNOWN in lacking else bool(lacking)):
        outcome = run(ENTRA_API_PERMISSIONS=permissions)
        assert outcome.code == 1
        assert re.search(rf"no administrator consented to {re.escape(lacking)}[\n;]", outcome.text), outcome.text
        for given in remedies(outcome):
            az(given)
    outcome = run(ENTRA_API_PERMISSIONS=permissions)
    assert outcome.code == 0, outcome.text


def test_api_that_this_directory_does_not_know_by_its_uri_is_to_be_named_by_its_client_id(registered: Ops) -> None:
    consented(registered.world)
    asked = "openid User.Read api://elsewhere/Costs.Read"
    outcome = registered("preflight", **ASSIGNED, ENTRA_ADDITIONAL_SCOPES=asked)
    assert outcome.code == 1
    assert "(no API of this directory is called api://elsewhere: ENTRA_ADDITIONAL_SCOPES may need its client id)" in (
        outcome.text
    )
    assert "az ad sp create" not in outcome.text


def assigned(world: World) -> None:
    world.principals[CLIENT_ID]["appRoleAssignmentRequired"] = True


def test_doctor_finds_lacking_consent_which_its_commands_give(
    doctor: Callable[..., Outcome], deployed: World, ops: Ops
) -> None:
    assigned(deployed)
    outcome = doctor()
    assert outcome.code == 1
    assert "AADSTS90094" in outcome.text
    az = AzureCli(ops.cloud)
    for command in remedies(outcome):
        az(command)
    again = doctor()
    assert again.code == 0, again.text
    assert "an administrator consented for everybody" in again.text


def test_doctor_asks_for_no_consent_where_nobody_signs_in(doctor: Callable[..., Outcome], deployed: World) -> None:
    assigned(deployed)
    deployed.app_settings["AUTH_MODE"] = "verify"
    assert doctor().code == 0


def test_consents_that_doctor_may_not_look_at_are_noted(doctor: Callable[..., Outcome], deployed: World) -> None:
    assigned(deployed)
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "no"}}
    deployed.faults.append(Fault("GET", "/oauth2PermissionGrants", 403, denied))
    outcome = doctor()
    assert outcome.code == 0
    assert "note  consent" in outcome.text


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        (["Cloud Application Administrator"], False),
        (["Privileged Role Administrator"], False),
        (["Application Developer"], True),
        ([], True),
    ],
)
def test_person_who_may_not_consent_for_everybody_is_found(ready: Ops, roles: list[str], found: bool) -> None:
    ready.world.directory_roles[:] = roles
    outcome = ready("preflight", ENTRA_ADMIN_CONSENT="true")
    assert outcome.code == (1 if found else 0), outcome.text
    assert ("the role Cloud Application Administrator" in outcome.text) is found


@pytest.mark.parametrize(
    ("permissions", "owners", "found"),
    [
        (
            ["Application.ReadWrite.OwnedBy", "Directory.Read.All"],
            "principal",
            "DelegatedPermissionGrant.ReadWrite.All",
        ),
        (
            ["Application.ReadWrite.OwnedBy", "DelegatedPermissionGrant.ReadWrite.All"],
            "principal",
            "Directory.Read.All",
        ),
        (["Application.ReadWrite.OwnedBy", "DelegatedPermissionGrant.ReadWrite.All"], "", ""),
        (["Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"], "principal", ""),
    ],
)
def test_permission_that_a_pipeline_lacks_is_found(ready: Ops, permissions: list[str], owners: str, found: str) -> None:
    ready.credential = lambda tenant: FakeCredential(tenant, idtyp="app", oid="principal", roles=permissions)
    outcome = ready("preflight", ENTRA_ADMIN_CONSENT="true", ENTRA_OWNER_IDS=owners)
    assert outcome.code == (1 if found else 0), outcome.text
    assert f"the application permission {found}" in outcome.text or not found
    section = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8").partition("\n## Pipeline\n")[2]
    assert not found or f"`{found}`" in section.partition("\n## ")[0], "where the finding says that the commands are"
