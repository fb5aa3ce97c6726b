"""The client secret comes into the vault and stays good, whatever happens on the way."""

from __future__ import annotations

import base64
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ops.client_secret import KEY_ID, PREVIOUS_KEY_ID, own_name
from tests.support.azure.world import OBJECT_ID, SITE, VAULT, Fault, SecretVersion, World, stamp

if TYPE_CHECKING:
    from tests.ops.conftest import Ops

OWN = own_name(VAULT)
SECRET = "entra-client-secret"
DENIED = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}}


def newest(world: World) -> SecretVersion:
    return world.secrets[SECRET][-1]


def assert_well(world: World, *, generations: int = 2) -> None:
    """The vault has a secret that Entra ID accepts, and the registration has at most one more of this deployment's."""
    current = newest(world)
    own = {entry["keyId"] for entry in world.passwords() if entry["displayName"] == OWN}
    assert world.secret_values[current.tags[KEY_ID]] == current.value
    assert current.tags[KEY_ID] in own
    assert len(own) <= generations
    assert own <= {current.tags[KEY_ID], current.tags.get(PREVIOUS_KEY_ID)}


def held_secret(world: World, *, days: float, age: float = 150) -> str:
    """A secret in vault and registration, made some days ago by this tool; its key id."""
    key_id = world.add_password(name=OWN, days=days, started_days_ago=age)
    world.put_secret(SECRET, world.secret_values[key_id], tags={KEY_ID: key_id}, days_ago=age)
    return key_id


def test_first_run_makes_both_secrets(ops: Ops, world: World) -> None:
    outcome = ops("postprovision")

    assert outcome.code == 0, outcome.text
    assert_well(world, generations=1)
    (entry,) = world.passwords()
    life = datetime.fromisoformat(entry["endDateTime"]) - world.now()
    assert timedelta(days=179) < life <= timedelta(days=180)
    assert newest(world).expires == int(datetime.fromisoformat(entry["endDateTime"]).timestamp())
    (key,) = world.secrets["jwt-signing-key"]
    assert len(base64.b64decode(key.value, validate=True)) == 32


def test_second_run_changes_nothing(ops: Ops, world: World) -> None:
    ops("postprovision")
    passwords, versions = list(world.passwords()), {name: len(all_) for name, all_ in world.secrets.items()}
    world.requests.clear()

    outcome = ops("postprovision")

    assert outcome.code == 0, outcome.text
    assert {method for method, _ in world.requests} == {"GET"}
    assert world.passwords() == passwords
    assert {name: len(all_) for name, all_ in world.secrets.items()} == versions


@pytest.mark.parametrize(("days", "renewed"), [(31, False), (29, True), (0.01, True), (-1, True)])
def test_secret_is_renewed_from_thirty_days_before_its_end(ops: Ops, world: World, days: float, renewed: bool) -> None:
    key_id = held_secret(world, days=days)

    assert ops("postprovision").code == 0

    assert (newest(world).tags[KEY_ID] != key_id) is renewed
    assert_well(world)
    kept = {entry["keyId"] for entry in world.passwords()}
    assert (key_id in kept) is (days > 0), "the one before stays, unless it is of no use"


def test_time_of_the_registration_without_an_offset_is_utc(ops: Ops, world: World) -> None:
    held_secret(world, days=29)
    (application,) = world.applications.values()
    for document in (application, *world.passwords()):
        document |= {name: value.removesuffix("Z") for name, value in document.items() if name.endswith("DateTime")}
    outcome = ops("postprovision")
    assert outcome.code == 0, outcome.text
    assert_well(world, generations=2)


def test_secret_whose_key_was_removed_is_replaced(ops: Ops, world: World) -> None:
    held_secret(world, days=100)
    world.passwords().clear()

    assert ops("postprovision").code == 0

    assert_well(world, generations=1)


def test_disabled_secret_is_replaced(ops: Ops, world: World) -> None:
    held_secret(world, days=100)
    newest(world).enabled = False

    assert ops("postprovision").code == 0

    assert newest(world).enabled
    assert_well(world)


def test_secrets_of_others_are_left_alone(ops: Ops, world: World) -> None:
    others = {world.add_password(name=name, days=100) for name in ("by hand", own_name("kv-prod"), "")}
    own = world.add_password(name=OWN, days=100)

    assert ops("postprovision").code == 0

    kept = {entry["keyId"] for entry in world.passwords()}
    assert others <= kept
    assert own not in kept


def test_only_one_older_generation_is_kept(ops: Ops, world: World) -> None:
    ops("postprovision")
    for _ in range(3):
        before = newest(world).tags[KEY_ID]
        assert ops("rotate", "client-secret").code == 0
        assert newest(world).tags[PREVIOUS_KEY_ID] == before
        assert_well(world)
        assert len(world.passwords()) == 2


@pytest.mark.parametrize(
    ("limit", "days"), [(timedelta(days=100), 90), (timedelta(days=20), 14), (timedelta(hours=30), 1)]
)
def test_lifetime_policy_shortens_the_secret_and_does_not_renew_it_at_every_run(
    ops: Ops, world: World, limit: timedelta, days: int
) -> None:
    world.max_lifetime = limit

    assert ops("postprovision").code == 0
    assert ops("postprovision").code == 0

    (entry,) = world.passwords()
    life = datetime.fromisoformat(entry["endDateTime"]) - world.now()
    assert timedelta(days=days) - timedelta(minutes=5) < life <= timedelta(days=days)
    world.clock.advance(days=days * 0.7)
    assert ops("postprovision").code == 0
    assert len(world.passwords()) == 2, "renewed when a third of its life was left"


@pytest.mark.parametrize(("given", "days"), [("90", 90), ("365", 365), ("1", 1), ("", 180)])
def test_secret_is_good_for_as_long_as_was_asked(ops: Ops, world: World, given: str, days: int) -> None:
    assert ops("postprovision", CLIENT_SECRET_DAYS=given).code == 0
    assert ops("postprovision", CLIENT_SECRET_DAYS=given).code == 0
    (entry,) = world.passwords()
    life = datetime.fromisoformat(entry["endDateTime"]) - world.now()
    assert timedelta(days=days) - timedelta(minutes=5) < life <= timedelta(days=days)


@pytest.mark.parametrize("command", ["postprovision", "preflight"])
@pytest.mark.parametrize("given", ["0", "731", "-1", "90d", "1.5"])
def test_lifetime_that_is_none_is_wrong_usage(ops: Ops, world: World, command: str, given: str) -> None:
    outcome = ops(command, CLIENT_SECRET_DAYS=given)
    assert outcome.code == 2
    assert "CLIENT_SECRET_DAYS" in outcome.text
    assert not world.passwords()


def refused_by_policy(times: int = 1) -> Fault:
    error = {
        "code": "Forbidden",
        "message": 'Operation "set" is not allowed by policy.',
        "innererror": {"code": "ForbiddenByPolicy"},
    }
    return Fault("PUT", f"/secrets/{SECRET}", 403, {"error": error}, times=times)


def test_secret_that_a_policy_keeps_out_of_the_vault_does_not_stay_at_the_registration(ops: Ops, world: World) -> None:
    others = world.add_password(name="by hand", days=100)
    for _ in range(3):
        world.faults.append(refused_by_policy())
        outcome = ops("postprovision")
        assert outcome.code == 1
        assert "ForbiddenByPolicy" in outcome.text
        assert "azd env set CLIENT_SECRET_DAYS" in outcome.text
        assert [entry["keyId"] for entry in world.passwords()] == [others]
    assert ops("postprovision").code == 0
    assert_well(world, generations=1)


def test_secret_before_the_refused_one_goes_on_being_good(ops: Ops, world: World) -> None:
    key_id = held_secret(world, days=20)
    world.faults.append(refused_by_policy())
    assert ops("postprovision").code == 1
    assert [entry["keyId"] for entry in world.passwords()] == [key_id]
    assert newest(world).tags[KEY_ID] == key_id


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("status", [500, 503])
def test_secret_that_the_vault_may_have_stored_is_kept(ops: Ops, world: World, status: int, served: bool) -> None:
    """What was stored may be in use, whatever the answer was, and whatever a second attempt is answered."""
    lost = Fault("PUT", f"/secrets/{SECRET}", status, {"error": {"code": "InternalError"}}, served=served)
    world.faults.extend([lost, refused_by_policy()])
    assert ops("postprovision").code == 1
    assert len(world.passwords()) == (0 if status == 503 and not served else 1)
    world.faults.clear()
    assert ops("postprovision").code == 0
    assert_well(world, generations=1)


def test_refused_secret_that_cannot_be_removed_is_left_to_the_next_run(ops: Ops, world: World) -> None:
    world.faults.extend([refused_by_policy(), Fault("POST", "/removePassword", 403, DENIED)])
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "postprovision failed. Azure Resource Manager answered 403" in outcome.text
    assert "ForbiddenByPolicy" in outcome.text
    assert ops("postprovision").code == 0
    assert_well(world, generations=1)


def test_tenant_without_client_secrets_is_told_of_the_secretless_mode(ops: Ops, world: World) -> None:
    world.passwords_allowed = False
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "azd env set AUTH_MODE federated" in outcome.text
    assert SECRET not in world.secrets


@pytest.mark.parametrize("mode", ["federated", "verify"])
def test_other_modes_need_no_client_secret(ops: Ops, world: World, mode: str) -> None:
    assert ops("postprovision", AUTH_MODE=mode).code == 0
    assert list(world.secrets) == ["jwt-signing-key"]
    assert not [path for _, path in world.requests if path.startswith("/graph")]


@pytest.mark.parametrize(
    ("deployed", "wanted"), [("federated", False), ("verify", False), ("proxy", True), (None, True)]
)
def test_mode_that_azds_environment_does_not_say_is_that_of_the_app(
    ops: Ops, world: World, deployed: str | None, wanted: bool
) -> None:
    """As after `azd env refresh`, which brings outputs alone."""
    world.app_settings.update({"AUTH_MODE": deployed} if deployed else {})
    outcome = ops("postprovision", AUTH_MODE=None, AZURE_FUNCTION_APP_NAME=SITE)
    assert outcome.code == 0, outcome.text
    assert (SECRET in world.secrets, bool(world.passwords())) == (wanted, wanted)
    outcome = ops("rotate", "client-secret", AUTH_MODE=None, AZURE_FUNCTION_APP_NAME=SITE)
    assert outcome.code == (0 if wanted else 2), outcome.text
    assert ops("postprovision", AUTH_MODE="proxy", AZURE_FUNCTION_APP_NAME=SITE).code == 0
    assert_well(world)


def test_mode_that_cannot_be_read_makes_no_client_secret(ops: Ops, world: World) -> None:
    denied = {"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization."}}
    world.faults.append(Fault("POST", "/config/appsettings/list", 403, denied))
    outcome = ops("postprovision", AUTH_MODE=None, AZURE_FUNCTION_APP_NAME=SITE)
    assert outcome.code == 1
    assert "/config/appsettings/list" in outcome.text
    assert not world.passwords()


def test_registration_that_is_not_known_everywhere_is_waited_for(ops: Ops, world: World) -> None:
    world.unknown_reads, world.stale_reads, world.unaccepted = 3, 2, 2
    outcome = ops("postprovision")
    assert outcome.code == 0, outcome.text
    assert len(ops.waits) == 7
    assert_well(world, generations=1)


def test_registration_that_was_made_a_moment_ago_may_refuse_its_owner_for_a_while(ops: Ops, world: World) -> None:
    world.applications[OBJECT_ID]["createdDateTime"] = stamp(world.now())
    world.faults.append(Fault("POST", "/addPassword", 403, DENIED, times=3))
    outcome = ops("postprovision")
    assert outcome.code == 0, outcome.text
    assert ops.waits == [1.0, 2.0, 4.0]


def test_refusal_of_an_older_registration_is_believed_at_once(ops: Ops, world: World) -> None:
    world.faults.append(Fault("POST", "/addPassword", 403, DENIED))
    assert ops("postprovision").code == 1
    assert ops.waits == []


def test_registration_that_is_gone_is_named(ops: Ops, world: World) -> None:
    world.applications.clear()
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "python -m ops doctor" in outcome.text


def test_vault_that_is_gone_is_not_taken_for_an_empty_one(ops: Ops, world: World) -> None:
    world.resources.clear()
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "ResourceGroupNotFound" in outcome.text
    assert not world.passwords()


def test_secret_never_accepted_does_not_reach_the_vault_and_is_removed_by_the_next_run(ops: Ops, world: World) -> None:
    held_secret(world, days=10)
    world.unaccepted = 1000
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "does not accept it yet" in outcome.text
    assert len(world.secrets[SECRET]) == 1

    world.unaccepted = 0
    assert ops("postprovision").code == 0
    assert_well(world)


def test_throttling_is_waited_out_as_long_as_the_service_asks(ops: Ops, world: World) -> None:
    world.faults.append(Fault("POST", "/addPassword", 429, {}, times=2, headers={"Retry-After": "17"}))
    world.faults.append(Fault("PUT", "/secrets/", 503, {}, times=1))
    assert ops("postprovision").code == 0
    assert ops.waits.count(17.0) == 2
    assert_well(world, generations=1)


def test_throttling_that_goes_on_ends_the_run_with_what_to_do(ops: Ops, world: World) -> None:
    body = {"error": {"code": "TooManyRequests", "message": "Too many requests"}}
    world.faults.append(Fault("GET", "/applications/", 429, body, times=100))
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "Wait a few minutes" in outcome.text
    assert len([path for _, path in world.requests if "/applications/" in path]) == 6


def test_secret_that_was_deleted_in_the_vault_is_told_how_to_get_back(ops: Ops, world: World) -> None:
    held_secret(world, days=100)
    world.deleted_secrets.add(SECRET)
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert f"az keyvault secret recover --vault-name {VAULT} --name {SECRET}" in outcome.text


def test_own_registration_that_may_not_be_changed_is_told_with_the_role_that_may(ops: Ops, world: World) -> None:
    world.faults.append(Fault("GET", "/applications", 403, DENIED))
    outcome = ops("postprovision")
    assert outcome.code == 1
    assert "Application Administrator" in outcome.text


def test_no_secret_is_ever_shown(ops: Ops, world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    said = ops("postprovision").text + ops("rotate", "client-secret").text + ops("rotate", "signing-key").text
    world.faults.append(Fault("PUT", "/secrets/", 400, {"error": {"code": "BadParameter", "message": "no"}}))
    failed = ops("rotate", "client-secret")
    assert failed.code == 1
    said += failed.text + caplog.text
    values = [*world.secret_values.values(), *(one.value for all_ in world.secrets.values() for one in all_)]
    assert len(values) > 5
    assert not [value for value in values if value in said]


def test_vault_is_never_asked_for_a_value(ops: Ops, world: World) -> None:
    ops("postprovision")
    ops("rotate", "signing-key")
    read = {path for method, path in world.requests if method == "GET" and path.startswith("/secrets/")}
    assert read == {"/secrets/jwt-signing-key/versions"}


def test_two_runs_at_once_end_well(ops: Ops, world: World) -> None:
    held_secret(world, days=5)
    codes: list[int] = []
    runs = [threading.Thread(target=lambda: codes.append(ops("postprovision").code)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(30)
    assert ops("postprovision").code == 0
    assert_well(world)


def test_missing_inputs_are_named_all_at_once(ops: Ops) -> None:
    outcome = ops("postprovision", AZURE_TENANT_ID=None, AZURE_KEY_VAULT_ID="")
    assert outcome.code == 2
    for name in ("AZURE_TENANT_ID", "AZURE_KEY_VAULT_ID"):
        assert name in outcome.text
    assert "--azure-key-vault-id" in outcome.text
