"""Whoever deploys reads once who they are, or why they are nobody, and what cannot be looked at because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import ClientAuthenticationError

from ops.client_secret import NO_REGISTRATION
from ops.clouds import PUBLIC
from ops.preflight import directory, subscription
from tests.support.azure import FakeCredential
from tests.support.azure.world import CLIENT_ID

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

    from tests.ops.conftest import Ops


class Refused(FakeCredential):
    """Gets no token for some services; counts how often that was asked for."""

    def __init__(self, tenant_id: str, *, reasons: dict[str, str], asked: list[str]) -> None:
        super().__init__(tenant_id)
        self._reasons = reasons
        self._asked = asked

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        if (reason := self._reasons.get(scopes[0])) is None:
            return super().get_token(*scopes, **options)
        self._asked.append(scopes[0])
        raise ClientAuthenticationError(reason)


def refuse(ops: Ops, **reasons: str) -> list[str]:
    asked: list[str] = []
    scopes = {"arm": PUBLIC.arm_scope, "graph": PUBLIC.graph_scope}
    chosen = {scopes[name]: reason for name, reason in reasons.items()}
    ops.credential = lambda tenant: Refused(tenant, reasons=chosen, asked=asked)
    return asked


def test_who_is_signed_in_is_told(ready: Ops) -> None:
    assert "ok    sign-in                operator@contoso.com" in ready("preflight").text


def test_nobody_signed_in_is_one_finding_that_names_what_it_keeps_from_being_looked_at(ready: Ops) -> None:
    asked = refuse(ready, arm="Please run 'azd auth login'.", graph="Please run 'azd auth login'.")
    outcome = ready("preflight")
    assert outcome.code == 1
    assert outcome.text.count("FOUND") == outcome.text.count("fix:") == 1
    assert "1 thing(s) to fix" in outcome.text
    assert outcome.text.count("azd auth login'.") == 1
    assert "no token for https://management.azure.com and https://graph.microsoft.com" in outcome.text
    assert f"Not looked at: {subscription.LOOKS_AT} and {directory.LOOKS_AT}" in outcome.text
    assert len(asked) == 2, "each failure takes azd and az their time"
    assert not ready.world.requests


def test_service_that_gets_no_token_keeps_only_its_own_checks_from_being_made(ready: Ops) -> None:
    refuse(ready, graph="AADSTS530084: Access has been blocked by conditional access token protection policy.")
    outcome = ready("preflight")
    assert outcome.code == 1
    assert outcome.text.count("FOUND") == 1
    assert f"Not looked at: {directory.LOOKS_AT}" in outcome.text
    assert "fix: AADSTS530084: " in outcome.text
    assert "ok    your rights" in outcome.text


def test_different_reasons_are_different_findings(ready: Ops) -> None:
    refuse(ready, arm="Please run 'azd auth login'.", graph="AADSTS530084: Access has been blocked.")
    outcome = ready("preflight")
    assert outcome.text.count("FOUND") == outcome.text.count("Not looked at") == 2


@pytest.mark.parametrize(
    ("client_id", "mode", "needed"),
    [
        (CLIENT_ID, "federated", False),
        (CLIENT_ID, "verify", False),
        (NO_REGISTRATION, "proxy", False),
        (CLIENT_ID, "proxy", True),
    ],
)
def test_registration_of_somebody_else_needs_a_token_for_the_directory_where_the_hook_does(
    ready: Ops, client_id: str, mode: str, needed: bool
) -> None:
    asked = refuse(ready, graph="Please run 'azd auth login'.")
    variables = {"AUTH_MODE": mode, "ENTRA_CLIENT_ID": client_id, "ENTRA_APP_OBJECT_ID": None}
    outcome = ready("preflight", **variables, ENTRA_EXISTING_CLIENT_ID=client_id)
    assert outcome.code == needed, outcome.text
    assert bool(asked) is needed
    assert ready("postprovision", **variables).code == needed


@pytest.mark.parametrize("module", [subscription, directory])
def test_what_is_not_looked_at_is_named_as_the_checks_are(ready: Ops, module: object) -> None:
    text = ready("preflight").text
    names = getattr(module, "LOOKS_AT", "").partition("(")[2].rstrip(")").split(", ")
    assert len(names) >= 4
    for name in names:
        assert f"  {name} " in text


def pipeline(ops: Ops, *roles: str) -> None:
    """Whoever is signed in is a pipeline's principal with these application permissions."""
    ops.world.may_create_apps = False
    ops.credential = lambda tenant: FakeCredential(tenant, idtyp="app", oid="principal", upn="", roles=list(roles))


def test_pipeline_that_may_not_make_a_registration_is_found(ready: Ops) -> None:
    pipeline(ready, "User.Read.All")
    outcome = ready("preflight")
    assert outcome.code == 1
    assert "FOUND directory role" in outcome.text
    assert "Application.ReadWrite.OwnedBy" in outcome.text


@pytest.mark.parametrize(
    ("role", "owners", "noted"),
    [
        ("Application.ReadWrite.OwnedBy", "", True),
        ("Application.ReadWrite.OwnedBy Directory.Read.All", "somebody principal-2", True),
        ("Application.ReadWrite.OwnedBy Directory.Read.All", "somebody principal", False),
        ("Application.ReadWrite.All", "", False),
    ],
)
def test_pipeline_that_would_not_own_what_it_makes_is_told_its_object_id(
    ready: Ops, role: str, owners: str, noted: bool
) -> None:
    pipeline(ready, *role.split())
    outcome = ready("preflight", ENTRA_OWNER_IDS=owners)
    assert outcome.code == 0, outcome.text
    assert f"the pipeline's principal has {role.split(maxsplit=1)[0]}" in outcome.text
    assert ("ENTRA_OWNER_IDS: principal\n" in outcome.text) is noted
