"""A deployment in order passes; what cannot be looked at is said; a local server is examined with its own settings."""

from __future__ import annotations

import ast
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.config import REPOSITORY
from ops.aadsts import codes_in
from ops.client_secret import KEY_ID
from ops.doctor.app import FUNCTIONS
from ops.doctor.roles import NAMES
from ops.server_errors import SERVER_ERRORS
from tests.infra.test_roles import BUILT_IN
from tests.ops.test_doctor_faults import (
    assert_agrees,
    expired_secret,
    fix_of,
    no_optional_scope,
    no_permissions,
    no_redirect_uri,
    no_scope,
    no_secret_role,
    registration,
    setting_missing,
    stopped,
    unknown_registration,
    version_1,
)
from tests.support.azure.cli import AzureCli
from tests.support.azure.deployment import ROLES, assignment
from tests.support.azure.world import (
    CLIENT_ID,
    GROUP_ID,
    HOST,
    OBJECT_ID,
    PRINCIPAL_ID,
    SITE,
    TENANT,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ops.conftest import Ops, Outcome
    from tests.support.azure.world import World
    from tests.support.smoke_server import SmokeServer

GRAPH_APPLICATION = f"/v1.0/applications/{OBJECT_ID}"


def test_deployment_in_order_has_nothing_to_mend(doctor: Callable[..., Outcome], deployed: World) -> None:
    outcome = doctor()
    assert outcome.code == 0, outcome.text
    assert "note" not in outcome.text
    assert "python 3.13" in outcome.text
    assert {method for method, _ in deployed.requests} == {"GET", "POST"}
    posts = {path.rsplit("/", 1)[-1] for method, path in deployed.requests if method == "POST"}
    assert posts == {"list", "query"}, "nothing is changed"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("not deployed", "azd deploy"),
        ("not ready", "Storage Table Data Contributor"),
        ("other base url", "set MCP_BASE_URL to"),
        ("no scopes", ""),
    ],
)
def test_server_is_seen_from_outside(
    doctor: Callable[..., Outcome], server: SmokeServer, fault: str, found: str
) -> None:
    server.fault = fault
    outcome = doctor()
    assert outcome.code == (1 if found else 0), outcome.text
    assert found in outcome.text


def test_clock_that_is_wrong_is_found(doctor: Callable[..., Outcome], ops: Ops) -> None:
    ops.ahead = timedelta(minutes=5)
    outcome = doctor()
    assert outcome.code == 1
    assert re.search(r"Azure's clock is (29\d|30\d) s behind this machine's", outcome.text)
    assert "timedatectl set-ntp true" in outcome.text


def test_address_that_the_app_does_not_have_is_found(doctor: Callable[..., Outcome], deployed: World) -> None:
    deployed.app_settings["MCP_BASE_URL"] = "https://mcp.invalid"
    registration(deployed)["web"]["redirectUris"] = ["https://mcp.invalid/auth/callback"]
    outcome = doctor()
    assert outcome.code == 1
    assert f"not a host name of the app ({HOST})" in outcome.text
    assert "az functionapp config hostname add" in outcome.text
    assert "mcp.invalid does not answer" in outcome.text


def test_what_may_not_be_looked_at_is_said_and_the_rest_still_is(
    doctor: Callable[..., Outcome], deployed: World
) -> None:
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}}
    deployed.faults.append(Fault("GET", "/graph/v1.0/applications", 403, denied, times=9))
    deployed.purge_runs = None
    expired_secret(deployed)
    stopped(deployed)
    outcome = doctor()
    assert "note  registration" in outcome.text
    assert "note  last purge" in outcome.text
    assert "is Stopped" in outcome.text


def test_federated_credential_is_looked_at_where_the_enterprise_application_may_not_be(
    doctor: Callable[..., Outcome], deployed: World, ops: Ops
) -> None:
    federated(deployed, ops)["subject"] = "somebody else"
    denied = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}}
    deployed.faults.append(Fault("GET", "/servicePrincipals", 403, denied, times=9))
    outcome = doctor()
    assert "note  enterprise application could not be looked at" in outcome.text
    assert "(AADSTS700213)" in outcome.text


def test_app_that_is_gone_ends_with_what_to_do(doctor: Callable[..., Outcome], deployed: World) -> None:
    deployed.resources.clear()
    outcome = doctor()
    assert outcome.code == 1
    assert "azd provision" in outcome.text


def test_verify_mode_needs_neither_client_secret_nor_redirect_uri(
    doctor: Callable[..., Outcome], deployed: World
) -> None:
    deployed.app_settings["AUTH_MODE"] = "verify"
    del deployed.secrets["entra-client-secret"]
    no_redirect_uri(deployed)
    no_secret_role(deployed)
    outcome = doctor()
    assert outcome.code == 0, outcome.text


def federated(world: World, ops: Ops) -> dict[str, Any]:
    """The deployment in secretless mode."""
    world.app_settings["AUTH_MODE"] = "federated"
    del world.secrets["entra-client-secret"]
    credential = {
        "id": "1",
        "name": "managed-identity",
        "issuer": f"https://{ops.cloud.authority}/{TENANT}/v2.0",
        "subject": PRINCIPAL_ID,
        "audiences": ["api://AzureADTokenExchange"],
    }
    world.federated_credentials[:] = [credential]
    return credential


def test_secretless_mode_needs_a_federated_credential(
    doctor: Callable[..., Outcome], deployed: World, ops: Ops
) -> None:
    federated(deployed, ops)
    outcome = doctor()
    assert outcome.code == 0, outcome.text
    deployed.federated_credentials.clear()
    outcome = doctor()
    assert outcome.code == 1
    assert f"az ad app federated-credential create --id {CLIENT_ID}" in outcome.text
    assert PRINCIPAL_ID in outcome.text.partition("fix:")[2]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("issuer", "https://sts.windows.net/x/", "AADSTS700211"),
        ("subject", "somebody else", "AADSTS700213"),
        ("audiences", ["api://something"], "AADSTS700212"),
    ],
)
def test_federated_credential_that_differs_is_found(
    doctor: Callable[..., Outcome], deployed: World, ops: Ops, member: str, value: object, code: str
) -> None:
    federated(deployed, ops)[member] = value
    outcome = doctor()
    assert outcome.code == 1
    assert f"({code})" in outcome.text
    assert outcome.text.count("FOUND") == 1
    assert_agrees(codes_in(code)[0], fix_of(outcome))


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [{"subject": "somebody else"}],
        [{"name": "of-a-pipeline", "subject": "somebody else"}],
        [{"name": "by-hand", "audiences": ["api://something"]}],
        [{"subject": "somebody else"}, {"id": "2", "name": "by-hand", "audiences": ["api://something"]}],
    ],
    ids=str,
)
def test_command_of_doctor_puts_the_federated_credential_right(
    doctor: Callable[..., Outcome], deployed: World, ops: Ops, changes: list[dict[str, object]]
) -> None:
    right = federated(deployed, ops)
    deployed.federated_credentials[:] = [right | change for change in changes]
    found = doctor().text
    by_hand = any(change.get("name") == "by-hand" for change in changes)
    assert ("azd provision" in found) is not by_hand, "Graph would refuse what the templates make beside it"
    AzureCli(ops.cloud)("az ad app" + found.partition("run: az ad app")[2].partition("\n")[0])
    outcome = doctor()
    assert outcome.code == 0, outcome.text
    kept = [one for one in deployed.federated_credentials if one["name"] == "of-a-pipeline"]
    assert kept == [right | change for change in changes if change.get("name") == "of-a-pipeline"]


@pytest.mark.parametrize("fault", [unknown_registration, no_scope, no_optional_scope, no_permissions, None])
def test_registration_that_the_templates_leave_alone_is_not_put_right_by_them(
    doctor: Callable[..., Outcome], deployed: World, ops: Ops, fault: Callable[[World], None] | None
) -> None:
    if fault is None:
        federated(deployed, ops)
        deployed.federated_credentials.clear()
    else:
        fault(deployed)
    assert "azd provision --no-state" in doctor().text
    outcome = doctor(ENTRA_EXISTING_CLIENT_ID=CLIENT_ID)
    assert outcome.code == 1
    another = "azd env set ENTRA_EXISTING_CLIENT_ID <client id>\n             azd provision --no-state"
    assert (another in outcome.text) is (fault is unknown_registration)
    assert "azd provision" not in outcome.text.replace(another, "")


def test_name_of_a_setting_stays_one_word_of_the_command(doctor: Callable[..., Outcome], deployed: World) -> None:
    deployed.app_settings["MCP_OLD;exit"] = "x"
    assert "--setting-names 'MCP_OLD;exit'\n" in doctor().text


def test_doctor_knows_the_roles_of_the_templates() -> None:
    assert NAMES == BUILT_IN


def test_wider_role_will_do(doctor: Callable[..., Outcome], deployed: World) -> None:
    deployed.role_assignments[:] = [assignment(role, GROUP_ID) for role, _ in ROLES]
    assert doctor().code == 0


def test_role_on_a_resource_with_a_longer_name_will_not(doctor: Callable[..., Outcome], deployed: World) -> None:
    deployed.role_assignments[:] = [
        assignment(role, scope.removesuffix("-key") if scope.endswith("jwt-signing-key") else scope)
        for role, scope in ROLES
    ]
    assert "lacks Key Vault Secrets User on jwt-signing-key" in doctor().text


def test_functions_that_are_looked_for_are_those_of_the_app() -> None:
    tree = ast.parse((REPOSITORY / "function_app.py").read_text("utf-8"))
    assert {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)} == FUNCTIONS


def test_missing_inputs_are_named_at_once(ops: Ops) -> None:
    outcome = ops("doctor", AZURE_RESOURCE_GROUP="", AZURE_KEY_VAULT_ID="", ENTRA_CLIENT_ID="")
    assert outcome.code == 2
    for name in ("AZURE_RESOURCE_GROUP", "AZURE_FUNCTION_APP_NAME", "AZURE_KEY_VAULT_ID", "ENTRA_CLIENT_ID"):
        assert name in outcome.text


def test_other_address_is_seen_from_outside_alone(ops: Ops, server: SmokeServer) -> None:
    address = "https://mcp.invalid"
    outcome = ops("doctor", address)
    assert outcome.code == 1
    assert "is not looked at" in outcome.text
    assert not ops.world.requests


def local_settings(root: Path, **changes: str) -> None:
    values = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "MCP_BASE_URL": "http://localhost:7071",
        "ENTRA_TENANT_ID": TENANT,
        "ENTRA_CLIENT_ID": CLIENT_ID,
        "KEY_VAULT_URL": "https://kv.vault.azure.net",
        **changes,
    }
    (root / "local.settings.json").write_text(json.dumps({"Values": values}))


def test_local_server_is_examined_with_the_settings_of_the_folder(
    ops: Ops, server: SmokeServer, deployed: World
) -> None:
    local_settings(ops.root, GRAPH_BASE_URL=ops.cloud.environment()["GRAPH_BASE_URL"], KEY_VAULT_URL="")
    version_1(deployed)
    outcome = ops("doctor", server.url, AZURE_FUNCTION_APP_NAME=SITE)
    assert outcome.code == 1
    assert "set KEY_VAULT_URL in local.settings.json" in outcome.text
    assert GRAPH_APPLICATION in outcome.text
    assert outcome.text.count("FOUND") == 2


def test_local_server_with_the_stand_in_has_no_registration_to_look_at(ops: Ops, server: SmokeServer) -> None:
    local_settings(ops.root, ENTRA_AUTHORITY="127.0.0.1:7443")
    outcome = ops("doctor", server.url)
    assert outcome.code == 0, outcome.text
    assert "local stand-in" in outcome.text


def test_local_settings_that_are_no_json_are_wrong_usage(ops: Ops, server: SmokeServer) -> None:
    (ops.root / "local.settings.json").write_text("{")
    assert ops("doctor", server.url).code == 2


def test_environment_of_the_shell_does_not_mend_a_missing_setting(
    doctor: Callable[..., Outcome], deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_VAULT_URL", "https://mine.vault.azure.net")
    setting_missing(deployed)
    assert "KEY_VAULT_URL: is not set" in doctor().text


def test_secret_by_hand_is_a_note(doctor: Callable[..., Outcome], deployed: World) -> None:
    del deployed.secrets["entra-client-secret"][-1].tags[KEY_ID]
    outcome = doctor()
    assert outcome.code == 0
    assert "by hand" in outcome.text


@pytest.mark.parametrize("text", ["AADSTS65001", "aadsts65001", "65001"])
def test_code_is_explained(ops: Ops, text: str) -> None:
    outcome = ops("doctor", "--explain", text)
    assert outcome.code == 0
    assert "az ad app permission admin-consent" in outcome.text
    assert "docs/errors/AADSTS65001.md" in outcome.text


def test_code_of_a_refusal_is_explained(ops: Ops) -> None:
    outcome = ops("doctor", "--explain", "CredentialTypeNotAllowedAsPerAppPolicy")
    assert outcome.code == 0
    assert "AUTH_MODE federated" in outcome.text


@pytest.mark.parametrize("code", SERVER_ERRORS)
def test_code_of_the_server_is_explained(ops: Ops, code: str) -> None:
    outcome = ops("doctor", "--explain", code)
    assert outcome.code == 0
    assert SERVER_ERRORS[code].remedy in outcome.text


def test_unknown_code_leads_to_microsofts_page(ops: Ops) -> None:
    outcome = ops("doctor", "--explain", "AADSTS123456")
    assert outcome.code == 1
    assert "error?code=123456" in outcome.text


def test_what_is_no_code_is_wrong_usage(ops: Ops) -> None:
    assert ops("doctor", "--explain", "help").code == 2
