"""What a token says of the caller."""

from __future__ import annotations

from entra_mcp.toolkit import Caller


def test_caller_from_claims() -> None:
    caller = Caller.from_claims(
        {"oid": "o", "tid": "t", "name": "N", "preferred_username": "n@x", "scp": "a b", "roles": ["Admin"]}
    )
    assert caller == Caller(object_id="o", tenant_id="t", name="N", username="n@x", scopes=("a", "b"), roles=("Admin",))


def test_caller_from_claims_without_the_optional_ones() -> None:
    caller = Caller.from_claims({"oid": "o", "tid": "t", "scp": "a"})
    assert (caller.name, caller.username, caller.scopes, caller.roles) == (None, None, ("a",), ())


def test_caller_from_claims_of_an_application_has_its_id() -> None:
    caller = Caller.from_claims({"oid": "o", "tid": "t", "azp": "daemon", "roles": ["Run"]})
    assert (caller.application_id, caller.name, caller.scopes, caller.roles) == ("daemon", None, (), ("Run",))


def test_caller_from_claims_of_a_person_is_no_application() -> None:
    assert Caller.from_claims({"oid": "o", "tid": "t", "azp": "a client", "scp": "a"}).application_id is None
