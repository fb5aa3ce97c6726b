"""The smoke test passes a server that is in order and names each fault of one that is not."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ops.attempt import FoundError
from ops.http import Patience
from ops.smoke.discovery import alive
from ops.smoke.target import Target
from tests.support.ports import free_ports
from tests.support.smoke_server import CLIENT_ID

if TYPE_CHECKING:
    from tests.ops.conftest import Ops
    from tests.support.smoke_server import SmokeServer


def test_server_in_order_passes(ops: Ops, server: SmokeServer) -> None:
    outcome = ops("smoke", server.url)
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("  ok  ") == 14
    assert not ops.world.requests, "no right in Azure is needed"


def test_address_comes_from_the_deployment_unless_given(ops: Ops, server: SmokeServer) -> None:
    assert ops("smoke", MCP_BASE_URL=server.url).code == 0
    assert ops("smoke").code == 2


@pytest.mark.parametrize(
    ("fault", "step", "says"),
    [
        ("not deployed", "alive", "azd deploy"),
        ("not ready", "ready", "Storage Table Data Contributor"),
        ("other base url", "resource metadata", "MCP_BASE_URL"),
        ("no scopes", "resource metadata", "ENTRA_REQUIRED_SCOPES"),
        ("open", "challenge", "It has to be 401"),
        ("no challenge", "challenge", "leads to nowhere"),
        ("token not refused", "wrong token", "is not called one"),
        ("not a server", "authorization server", "Welcome"),
        ("other issuer", "authorization server", "MCP_BASE_URL"),
        ("plain pkce", "authorization server", "lacks S256"),
        ("no grant for assertions", "authorization server", "grant_types_supported lacks urn:ietf:params:oauth:grant-"),
        ("registration refused", "registration", "invalid_client_metadata"),
        ("proxy refuses", "registration", "400"),
        ("no consent page", "way to Entra ID", "without a page to consent on"),
        ("not entra", "way to Entra ID", "is not Entra ID"),
        ("other redirect uri", "way to Entra ID", "redirect_uri is"),
        ("no own scope", "way to Entra ID", "scope lacks access_as_user"),
        ("no offline access", "way to Entra ID", "ENTRA_ADDITIONAL_SCOPES"),
        ("client's state", "way to Entra ID", "the client's own"),
        ("no upstream pkce", "way to Entra ID", "no PKCE challenge"),
        ("resource beside scope", "way to Entra ID", "AADSTS9010010"),
        ("redirect uri not registered", "way to Entra ID", "AADSTS50011"),
        ("any client", "foreign client", "MCP_ALLOWED_REDIRECT_URIS is too wide"),
        ("open redirect", "foreign redirect URI", "302"),
        ("any client id", "unknown client", "302"),
        ("no pkce needed", "no PKCE", "is not refused"),
        ("codes not checked", "wrong code", "200"),
        ("tokens cached", "wrong code", "may be cached"),
        ("callback not checked", "forged callback", "302"),
    ],
)
def test_fault_is_named_at_its_step(ops: Ops, server: SmokeServer, fault: str, step: str, says: str) -> None:
    server.fault = fault
    outcome = ops("smoke", server.url)
    assert outcome.code == 1
    assert f"FOUND {step} " in outcome.text
    assert says in outcome.text
    assert outcome.text.count("FOUND") == 1
    assert "1 step(s) failed" in outcome.text


def test_other_registration_than_the_deployments_is_a_fault(ops: Ops, server: SmokeServer) -> None:
    other = "99999999-9999-4999-8999-999999999999"
    assert ops("smoke", server.url, ENTRA_CLIENT_ID=other).code == 0, "azd's registration is of its own deployment"
    assert ops("smoke", server.url, ENTRA_CLIENT_ID=CLIENT_ID, MCP_BASE_URL=server.url).code == 0
    outcome = ops("smoke", server.url, "--entra-client-id", other)
    assert outcome.code == 1
    assert f"and not {other}" in outcome.text


def test_server_that_only_verifies_is_tested_as_far_as_it_goes(ops: Ops, server: SmokeServer) -> None:
    server.fault = "verify mode"
    outcome = ops("smoke", server.url)
    assert outcome.code == 0, outcome.text
    assert "AUTH_MODE=verify" in outcome.text


def test_server_that_admits_no_programs_on_peoples_machines_is_tested_as_far_as_it_goes(
    ops: Ops, server: SmokeServer
) -> None:
    """As docs/operate.md advises where many clients register."""
    server.fault = "no loopback clients"
    outcome = ops("smoke", server.url, "--sign-in")
    assert outcome.code == 0, outcome.text
    assert "note  registration" in outcome.text
    assert "MCP_ALLOWED_REDIRECT_URIS" in outcome.text
    assert "that was tried" in outcome.text


@pytest.mark.parametrize("fault", ["", "identity assertions"])
def test_identity_assertions_are_said_where_the_server_takes_them(ops: Ops, server: SmokeServer, fault: str) -> None:
    server.fault = fault
    outcome = ops("smoke", server.url)
    assert outcome.code == 0, outcome.text
    assert ("PKCE S256, identity assertions\n" in outcome.text) is bool(fault)


def test_server_that_is_not_there_is_said(ops: Ops) -> None:
    (port,) = free_ports(1)
    outcome = ops("smoke", f"http://127.0.0.1:{port}")
    assert outcome.code == 1
    assert "does not answer" in outcome.text
    assert "make run" in outcome.text


@pytest.mark.parametrize("statuses", [[404, 404], [503, 502, 500]])
def test_deployment_of_a_moment_ago_is_waited_for(server: SmokeServer, statuses: list[int]) -> None:
    server.coming_up[:] = statuses
    waits: list[float] = []
    with closing(Target(base_url=server.url, may_be_fresh=True, patience=Patience(sleep=waits.append))) as target:
        assert "/healthz in" in alive(target)
    assert len(waits) == len(statuses)


def test_deployment_that_does_not_come_is_given_up_after_two_minutes() -> None:
    (port,) = free_ports(1)
    waits: list[float] = []
    target = Target(base_url=f"http://127.0.0.1:{port}", may_be_fresh=True, patience=Patience(sleep=waits.append))
    with closing(target), pytest.raises(FoundError, match="does not answer"):
        alive(target)
    assert sum(waits) == 120


@pytest.mark.parametrize("address", ["ftp://x", "nonsense", "http://example.com", "http://localhost:7071/mcp"])
def test_address_that_cannot_be_one_is_wrong_usage(ops: Ops, address: str) -> None:
    assert ops("smoke", address).code == 2
