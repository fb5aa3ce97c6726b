"""The directory file: what it may hold, what is there without it, and how its faults are reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.config import OFFICER_ID, REPOSITORY, TENANT_ID
from local.directory import FILE, Directory, DirectoryError, load_directory
from tests.support.standins import DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.place import Place

ACCOUNT = {"user": {"name": "Some User"}}
API = {"orders": {"scopes": ["Orders.Read"], "app_roles": ["Orders.Export"]}}


def faults_of(tmp_path: Path, content: object) -> list[str]:
    file = tmp_path / FILE
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(DirectoryError) as caught:
        load_directory(file)
    assert str(caught.value).startswith(f"{file} has ")
    return sorted(caught.value.faults)


def test_without_a_file_there_is_one_person_without_roles_and_no_api(tmp_path: Path) -> None:
    directory = load_directory(tmp_path / FILE)
    assert [*directory.accounts] == ["user"]
    assert directory.accounts["user"].roles == ()
    assert (directory.apis, directory.groups) == ({}, {})


def test_ids_and_addresses_that_are_not_given_are_the_same_every_time(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text(json.dumps({"apis": API, "accounts": {**ACCOUNT, "second": {"name": "Second User"}}}))
    one, other = load_directory(file), load_directory(file)
    assert one == other
    assert one.accounts["user"].object_id != one.accounts["second"].object_id
    assert one.accounts["user"].username == "user@local.example"
    assert one.apis["orders"].client_id
    assert one.apis["orders"].identifier_uri == "api://orders"


def test_null_is_as_good_as_not_given(tmp_path: Path) -> None:
    api = {**API["orders"], "identifier_uri": None, "client_id": None}
    (tmp_path / "null.json").write_text(
        json.dumps(
            {"apis": {"orders": api}, "accounts": {"user": {"name": "Some User", "username": None, "object_id": None}}}
        )
    )
    (tmp_path / FILE).write_text(json.dumps({"apis": API, "accounts": ACCOUNT}))
    assert load_directory(tmp_path / "null.json") == load_directory(tmp_path / FILE)


@pytest.mark.parametrize(
    ("tenant", "first"), [(TENANT_ID, "user"), ("organizations", "guest"), ("consumers", "personal")]
)
def test_first_account_is_the_first_that_can_sign_in(tmp_path: Path, tenant: str, first: str) -> None:
    people = {
        "blocked": {"name": "Blocked", "faults": {"sign-in": 53003}},
        "guest": {"name": "Guest", "tenant": "other"},
        "personal": {"name": "Personal", "tenant": "personal"},
        **ACCOUNT,
    }
    (tmp_path / FILE).write_text(json.dumps({"accounts": people}))
    found = load_directory(tmp_path / FILE).first(tenant)
    assert found is not None
    assert found[0] == first


def test_nobody_is_first_where_no_account_is_admitted(tmp_path: Path) -> None:
    assert load_directory(tmp_path / FILE).first("consumers") is None


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("{", ["It is not JSON: "]),
        ("[]", ["the file: Input should be a valid dictionary"]),
        ({"else": 1}, ["else: is not a name that is known here"]),
        ({"accounts": {}}, ["accounts: Dictionary should have at least 1 item"]),
        ({"accounts": {"user": {}}}, ["accounts.user.name: is missing"]),
        ({"accounts": {"Some User": {"name": "x"}}}, ["accounts.Some User.[key]: "]),
        ({"accounts": {"user": {"name": "x", "password": "x"}}}, ["accounts.user.password: is not a name"]),
        ({"accounts": {"user": {"name": "x", "roles": "Admin"}}}, ["accounts.user.roles: "]),
        ({"accounts": {"user": {"name": "x", "roles": ["two words"]}}}, ["accounts.user.roles.0: "]),
        ({"accounts": {"user": {"name": "x", "tenant": "mine"}}}, ["accounts.user.tenant: "]),
        ({"accounts": {"user": {"name": "x", "object_id": "1"}}}, ["accounts.user.object_id: "]),
        ({"accounts": {"user": {"name": "x", "tenant": "other"}}}, ["accounts: has nobody"]),
        ({"accounts": {"user": {"name": "x", "groups": ["A"]}}}, ["accounts.user.groups.0: There is no group"]),
        ({"accounts": {"user": {"name": "x", "faults": {"mail": 1}}}}, ["accounts.user.faults.mail: There is no"]),
        ({"accounts": {"user": {"name": "x", "api_roles": {"a": []}}}}, ["accounts.user.api_roles.a: There is no API"]),
        (
            {"apis": API, "groups": {"A": {"api_roles": {"orders": ["Orders.Exprot"]}}}},
            ["groups.A.api_roles.orders.0: There is no app role of orders called 'Orders.Exprot'"],
        ),
        (
            {"accounts": {**ACCOUNT, "two": {"name": "x", "username": "USER@local.example"}}},
            ["accounts.two.username: is that of another account", "accounts.user.username: is that of another account"],
        ),
        ({"apis": {"orders": {}}}, ["apis.orders.scopes: is missing"]),
        ({"apis": {"graph": {"scopes": []}}}, ["apis.graph: is a word of the file's own"]),
        ({"apis": {"orders": {"scopes": ["api://orders/Orders.Read"]}}}, ["apis.orders.scopes.0: "]),
        ({"apis": {"orders": {"scopes": [], "identifier_uri": "orders"}}}, ["apis.orders.identifier_uri: "]),
        (
            {"apis": {"a": {"scopes": []}, "b": {"scopes": [], "identifier_uri": "api://a"}}},
            ["apis.a.identifier_uri: is that of another API", "apis.b.identifier_uri: is that of another API"],
        ),
        (
            {"apis": {"a": {"scopes": ["R"], "collections": {"x": {"scope": "W", "items": []}}}}},
            ["apis.a.collections.x.scope: There is no scope of this API called 'W'; the file has: R"],
        ),
        (
            {"apis": {"a": {"scopes": ["R"], "collections": {"x": {"scope": "R", "items": [{"id": 1}]}}}}},
            ["apis.a.collections.x.items.0.id: has to be a text"],
        ),
        ('{"accounts": {"user": {"name": "a"}, "user": {"name": "b"}}}', ['"user" is in one object 2 times']),
    ],
    ids=str,
)
def test_faulty_file_is_told_with_the_path_of_the_fault(tmp_path: Path, content: object, faults: list[str]) -> None:
    found = faults_of(tmp_path, content)
    assert len(found) == len(faults), found
    assert all(fault.startswith(expected) for fault, expected in zip(found, faults, strict=True)), found


def test_every_fault_of_every_kind_is_told_at_once(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "typo": {},
        "apis": {"orders": {"scopes": ["Orders.Read"], "collections": {"orders": {"scope": "x", "items": [{}]}}}},
        "accounts": {"user": {"groups": ["Missing"], "faults": {"nowhere": 1}}, "admin": {"name": "x", "roles": [3]}},
    }
    assert [fault.split(":")[0] for fault in faults_of(tmp_path, content)] == [
        "accounts.admin.roles.0",
        "accounts.user.faults.nowhere",
        "accounts.user.groups.0",
        "accounts.user.name",
        "apis.orders.collections.orders.items.0.id",
        "typo",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00", b"\x80"])
def test_file_that_is_not_utf_8_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DirectoryError, match="not UTF-8"):
        load_directory(tmp_path / FILE)


def test_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"accounts": ACCOUNT}), encoding="utf-8-sig")
    assert load_directory(tmp_path / FILE).accounts["user"].name == "Some User"


def test_run_with_a_faulty_file_starts_nothing_and_tells_the_faults(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "faulty.json"
    file.write_text('{"accounts": {"user": {}}, "else": 1}')
    code, output = place.finish("run", "--check", "--directory", str(file))
    assert code == 2, output
    assert "faulty.json has 2 faults" in output
    assert "accounts.user.name: is missing" in output
    assert "Traceback" not in output
    assert "Starting" not in output


def test_schema_for_editors_is_that_of_the_file() -> None:
    schema = json.loads((REPOSITORY / "local" / "directory.schema.json").read_text("utf-8"))
    assert schema == Directory.model_json_schema()
    derived = [schema["$defs"]["Person"], schema["$defs"]["Api"]]
    names = {"username", "object_id", "identifier_uri", "client_id"}
    found = [field for part in derived for name, field in part["properties"].items() if name in names]
    assert len(found) == len(names)
    for field in found:  # its default is a value that it takes
        assert field["default"] is None
        assert {"type": "null"} in field["anyOf"]


def test_officer_of_the_vault_is_an_account_of_the_tests() -> None:
    assert load_directory(DIRECTORY).accounts["admin"].object_id == OFFICER_ID
