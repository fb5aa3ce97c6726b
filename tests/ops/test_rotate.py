"""Rotation of the signing key: versions are added, and disabled on their day and never before."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from annotated_types import Le

from entra_mcp.settings import Settings
from entra_mcp.vault.client import CLIENT_SECRET as SERVER_CLIENT_SECRET
from entra_mcp.vault.client import MAX_VERSIONS as SERVER_MAX_VERSIONS
from entra_mcp.vault.client import SIGNING_KEY as SERVER_SIGNING_KEY
from ops.commands.rotate import LIFETIME_SETTINGS, MAX_DAYS
from ops.signing_key import MAX_VERSIONS
from ops.vault import CLIENT_SECRET, SIGNING_KEY
from tests.support.azure.world import SITE, Fault, SecretVersion, World

if TYPE_CHECKING:
    from tests.ops.conftest import Ops

KEPT_DAYS = 97
"""90 days for refresh tokens, 7 to be safe."""


def key(world: World, *, days_ago: float) -> SecretVersion:
    return world.put_secret(SIGNING_KEY, base64.b64encode(bytes(range(32))).decode(), days_ago=days_ago)


def day(world: World, *, superseded_days_ago: float) -> str:
    moment = datetime.fromtimestamp(int(world.now().timestamp()), UTC) - timedelta(days=superseded_days_ago - KEPT_DAYS)
    return f"{moment:%Y-%m-%d}"


def enabled(world: World) -> list[str]:
    return [version.id for version in world.secrets[SIGNING_KEY] if version.enabled]


def test_names_and_limits_are_those_of_the_server() -> None:
    assert (CLIENT_SECRET, SIGNING_KEY, MAX_VERSIONS) == (SERVER_CLIENT_SECRET, SERVER_SIGNING_KEY, SERVER_MAX_VERSIONS)


def test_new_version_is_a_good_key_and_older_ones_are_told_their_day(ops: Ops, world: World) -> None:
    first, second = key(world, days_ago=200), key(world, days_ago=30)

    outcome = ops("rotate", "signing-key")

    assert outcome.code == 0, outcome.text
    added = world.secrets[SIGNING_KEY][-1]
    assert len(set(base64.b64decode(added.value, validate=True))) > 8
    assert len(base64.b64decode(added.value)) == 32
    assert f"{first.id} may be disabled from {day(world, superseded_days_ago=30)}" in outcome.text
    assert f"{second.id} may be disabled from {day(world, superseded_days_ago=0)}" in outcome.text
    assert enabled(world) == [first.id, second.id, added.id]


def test_day_is_told_of_a_version_too_that_a_repeated_request_added(ops: Ops, world: World) -> None:
    key(world, days_ago=30)
    world.faults.append(Fault("PUT", "/secrets/", 503, served=True))
    outcome = ops("rotate", "signing-key")
    assert outcome.code == 0, outcome.text
    *older, newest = world.secrets[SIGNING_KEY]
    assert len(older) == 2
    for version in older:
        assert f"{version.id} may be disabled from" in outcome.text
    assert f"{newest.id} may be disabled" not in outcome.text


@pytest.mark.parametrize("listed_before", [True, False])
def test_versions_that_cannot_be_listed_are_said_once(ops: Ops, world: World, listed_before: bool) -> None:
    first = key(world, days_ago=30)
    broken = {"error": {"code": "InternalServerError", "message": "broken"}}
    listed = Fault("GET", "/versions", 200, {"value": []})
    world.faults.extend([*([listed] if listed_before else []), Fault("GET", "/versions", 500, broken)])
    outcome = ops("rotate", "signing-key")
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("cannot be listed") == 1
    assert f"{first.id} may be disabled from {day(world, superseded_days_ago=0)}" in outcome.text


def test_new_key_expires_on_the_day_that_a_policy_wants(ops: Ops, world: World) -> None:
    assert (
        "note  expiry                 2099-03-01" in ops("rotate", "signing-key", VAULT_EXPIRY_DATE="2099-03-01").text
    )
    assert world.secrets["jwt-signing-key"][-1].expires == int(datetime(2099, 3, 1, tzinfo=UTC).timestamp())
    assert ops("rotate", "signing-key").code == 0
    assert world.secrets["jwt-signing-key"][-1].expires is None


@pytest.mark.parametrize("day", ["2020-03-01", "tomorrow", "01.03.2099"])
def test_day_that_is_past_or_none_adds_no_key(ops: Ops, world: World, day: str) -> None:
    outcome = ops("rotate", "signing-key", VAULT_EXPIRY_DATE=day)
    assert outcome.code == 2
    assert "VAULT_EXPIRY_DATE" in outcome.text
    assert "jwt-signing-key" not in world.secrets


def test_each_rotation_adds_another_key(ops: Ops, world: World) -> None:
    for _ in range(3):
        assert ops("rotate", "signing-key").code == 0
    values = [version.value for version in world.secrets[SIGNING_KEY]]
    assert len(set(values)) == 3


@pytest.mark.parametrize(("ago", "disabled"), [(96.9, False), (97.1, True)])
def test_old_version_is_disabled_from_its_day_on(ops: Ops, world: World, ago: float, disabled: bool) -> None:
    first, second = key(world, days_ago=300), key(world, days_ago=ago)

    outcome = ops("rotate", "--disable-old")

    assert outcome.code == 0, outcome.text
    assert first.enabled is not disabled
    assert second.enabled
    assert ops("rotate", "signing-key", "--disable-old").code == 0
    assert first.enabled is not disabled


def test_day_is_decided_by_the_clock_of_the_vault_and_not_by_this_machine(ops: Ops, world: World) -> None:
    first, _ = key(world, days_ago=300), key(world, days_ago=1)
    ops.ahead = timedelta(days=400)
    assert ops("rotate", "--disable-old").code == 0
    assert first.enabled


def test_newest_version_is_never_disabled(ops: Ops, world: World) -> None:
    only = key(world, days_ago=5000)
    outcome = ops("rotate", "--disable-old")
    assert outcome.code == 0
    assert only.enabled
    assert "the only enabled one" in outcome.text


def test_later_version_counts_from_when_it_was_enabled(ops: Ops, world: World) -> None:
    """A version that was disabled for a while may have left the older one signing meanwhile."""
    first, second = key(world, days_ago=300), key(world, days_ago=200)
    second.updated = int((world.now() - timedelta(days=10)).timestamp())
    assert ops("rotate", "--disable-old").code == 0
    assert first.enabled


def test_disabled_later_version_does_not_count(ops: Ops, world: World) -> None:
    first, second, third = key(world, days_ago=300), key(world, days_ago=200), key(world, days_ago=10)
    second.enabled = False
    assert ops("rotate", "--disable-old").code == 0
    assert first.enabled
    assert third.enabled


def test_signer_is_never_disabled_when_the_newest_version_is(ops: Ops, world: World) -> None:
    first, second, third = key(world, days_ago=400), key(world, days_ago=300), key(world, days_ago=200)
    third.enabled = False
    assert ops("rotate", "--disable-old").code == 0
    assert second.enabled, "it signs"
    assert not first.enabled


def test_versions_of_the_same_second_are_all_kept(ops: Ops, world: World) -> None:
    pair = key(world, days_ago=200), key(world, days_ago=200)
    third = key(world, days_ago=200)
    for version in (*pair, third):
        version.created = version.updated = pair[0].created
    assert ops("rotate", "--disable-old").code == 0
    assert third.enabled


def test_longer_token_lifetime_moves_the_day(ops: Ops, world: World) -> None:
    first, _ = key(world, days_ago=300), key(world, days_ago=120)
    assert ops("rotate", "--disable-old", "--token-lifetime-days", "365").code == 0
    assert first.enabled


def test_every_lifetime_of_the_server_is_known() -> None:
    lifetimes = [field for name, field in Settings.model_fields.items() if name.endswith("_days")]
    assert {str(field.validation_alias) for field in lifetimes} == set(LIFETIME_SETTINGS)
    bounds = [bound.le for field in lifetimes for bound in field.metadata if isinstance(bound, Le)]
    limits = [bound for bound in bounds if isinstance(bound, int)]
    assert max(limits) == MAX_DAYS
    assert len(limits) == len(lifetimes)


@pytest.mark.parametrize("value", [" 365 ", "365.0", "+365", "@Microsoft.KeyVault(SecretUri=https://v/s)"])
def test_lifetime_that_is_written_oddly_disables_nothing_early(ops: Ops, world: World, value: str) -> None:
    first, _ = key(world, days_ago=400), key(world, days_ago=300)
    world.app_settings["MCP_REFRESH_TOKEN_DAYS"] = value
    assert ops("rotate", "--disable-old", AZURE_FUNCTION_APP_NAME=SITE).code == 0
    assert first.enabled


@pytest.mark.parametrize("name", LIFETIME_SETTINGS)
def test_longer_lifetime_of_the_deployed_app_moves_the_day_too(ops: Ops, world: World, name: str) -> None:
    first, _ = key(world, days_ago=400), key(world, days_ago=300)
    world.app_settings[name] = "365"
    names = {"AZURE_FUNCTION_APP_NAME": SITE}
    assert ops("rotate", "--disable-old", **names).code == 0
    assert first.enabled
    world.app_settings[name] = "200"
    assert ops("rotate", "--disable-old", **names).code == 0
    assert not first.enabled


def test_app_whose_settings_cannot_be_read_has_no_key_disabled(ops: Ops, world: World) -> None:
    first, _ = key(world, days_ago=400), key(world, days_ago=300)
    denied = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    world.faults.append(Fault("POST", "/appsettings/list", 403, denied))
    assert ops("rotate", "--disable-old", AZURE_FUNCTION_APP_NAME=SITE).code == 1
    assert first.enabled


def test_no_more_versions_than_servers_read(ops: Ops, world: World) -> None:
    for age in range(MAX_VERSIONS, 0, -1):
        key(world, days_ago=age)
    outcome = ops("rotate", "signing-key")
    assert outcome.code == 1
    assert "--disable-old" in outcome.text
    assert len(world.secrets[SIGNING_KEY]) == MAX_VERSIONS


def test_without_a_role_in_the_vault_the_key_is_added_and_the_command_for_the_role_given(
    ops: Ops, world: World
) -> None:
    first = key(world, days_ago=100)
    world.vault_role = False
    outcome = ops("rotate", "signing-key")
    assert outcome.code == 0, outcome.text
    assert 'az role assignment create --role "Key Vault Secrets Officer"' in outcome.text
    assert f"{first.id} may be disabled from {day(world, superseded_days_ago=0)}" in outcome.text
    assert len(world.secrets[SIGNING_KEY]) == 2

    outcome = ops("rotate", "--disable-old")
    assert outcome.code == 1
    assert "Key Vault Secrets Officer" in outcome.text


def test_killed_after_adding_and_run_again_disables_nothing(ops: Ops, world: World) -> None:
    first = key(world, days_ago=300)
    world.faults.append(Fault("PUT", "/secrets/", 500, {"error": {"code": "InternalServerError", "message": "x"}}))
    assert ops("rotate", "signing-key").code == 1
    assert ops("rotate", "signing-key").code == 0
    assert first.enabled


@pytest.mark.parametrize(
    "arguments",
    [
        ("rotate",),
        ("rotate", "client-secret", "--disable-old"),
        ("rotate", "something"),
        ("rotate", "signing-key", "--token-lifetime-days", "0"),
        ("nothing",),
        (),
    ],
)
def test_wrong_usage_ends_with_2(ops: Ops, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert ops(*arguments).code == 2


def test_client_secret_is_not_rotated_where_there_is_none(ops: Ops) -> None:
    outcome = ops("rotate", "client-secret", AUTH_MODE="federated")
    assert outcome.code == 2
    assert "there is no client secret" in outcome.text
