"""What keeps a registration from getting a client secret, or a secret from expiring when it should, is found before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ops.test_preflight import forbidden_secrets, policy
from tests.support.azure.world import CLIENT_ID

if TYPE_CHECKING:
    from tests.ops.conftest import Ops


def assigned_policy(*restrictions: str, enabled: bool = True) -> dict[str, Any]:
    listed = [{"restrictionType": kind, "state": "enabled"} for kind in restrictions]
    return {"isEnabled": enabled, "restrictions": {"passwordCredentials": listed}}


@pytest.mark.parametrize(
    ("tenants", "own", "found"),
    [
        (False, assigned_policy("passwordAddition"), True),
        (False, assigned_policy("passwordAddition", enabled=False), False),
        (True, assigned_policy(), False),
        (True, {"isEnabled": True, "restrictions": {"keyCredentials": []}}, True),
    ],
)
def test_policy_that_is_assigned_to_the_registration_goes_before_the_tenants(
    ready: Ops, tenants: bool, own: dict[str, Any], found: bool
) -> None:
    if tenants:
        forbidden_secrets(ready.world)
    ready.world.own_management_policies = [own]
    outcome = ready("preflight")
    assert outcome.code == found, outcome.text
    assert ("a policy of the tenant forbids client secrets" in outcome.text) is found


@pytest.mark.parametrize("own", [True, False])
def test_policy_for_the_secrets_of_a_registration_of_somebody_else_is_noted(ready: Ops, own: bool) -> None:
    """An owner may have put a secret into the vault before."""
    if own:
        ready.world.own_management_policies = [assigned_policy("passwordAddition")]
    else:
        forbidden_secrets(ready.world)
    outcome = ready("preflight", ENTRA_EXISTING_CLIENT_ID=CLIENT_ID, ENTRA_CLIENT_ID=None)
    assert outcome.code == 0, outcome.text
    assert "no client secret may be added to the registration" in outcome.text


@pytest.mark.parametrize("limit", ["P60D", "P60DT0H", "P2M"])
@pytest.mark.parametrize(("asked", "noted"), [("60", False), ("61", True), ("", True)])
def test_life_of_secrets_is_compared_with_the_one_that_was_asked_for(
    ready: Ops, limit: str, asked: str, noted: bool
) -> None:
    policy(ready.world, restrictionType="passwordLifetime", maxLifetime=limit)
    outcome = ready("preflight", CLIENT_SECRET_DAYS=asked)
    assert outcome.code == 0
    assert ("at most 60 days" in outcome.text) is noted


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"VAULT_EXPIRY_DATE": "soon"}, "VAULT_EXPIRY_DATE (or --vault-expiry-date) has to be a day such as"),
        ({"VAULT_EXPIRY_DATE": "2020-01-01"}, "VAULT_EXPIRY_DATE (or --vault-expiry-date) has to be a day that is"),
        ({"CLIENT_SECRET_DAYS": "many"}, "CLIENT_SECRET_DAYS (or --client-secret-days) has to be a number of days"),
        ({"RESOURCE_TAGS": "owner:us"}, "RESOURCE_TAGS (or --resource-tags) has to be NAME=value;NAME=value"),
        ({"CLIENT_SECRET_DAYS": "many", "AUTH_MODE": "federated"}, ""),
    ],
)
def test_variable_that_the_deployment_would_stop_at_is_found_and_the_rest_is_looked_at(
    ready: Ops, variables: dict[str, str], problem: str
) -> None:
    outcome = ready("preflight", **variables)
    assert outcome.code == (2 if problem else 0), outcome.text
    assert outcome.text.count("FOUND") == bool(problem)
    assert problem in outcome.text
    assert "ok    deleted registrations" in outcome.text
    if problem:
        assert f"fix: azd env set {next(iter(variables))} <value>" in outcome.text


@pytest.mark.parametrize(
    ("since", "new", "found"),
    [
        ("2020-01-01T10:37:00Z", False, True),
        ("2099-01-01T00:00:00Z", False, False),
        ("2099-01-01T00:00:00Z", True, True),
        ("", False, True),
    ],
)
def test_policy_for_later_registrations_does_not_concern_one_that_is_there(
    ready: Ops, since: str, new: bool, found: bool
) -> None:
    policy(ready.world, restrictionType="passwordAddition", restrictForAppsCreatedAfterDateTime=since)
    outcome = ready("preflight", ENTRA_CLIENT_ID=None if new else CLIENT_ID)
    assert outcome.code == (1 if found else 0), outcome.text
