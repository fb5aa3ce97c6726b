"""A client secret that an earlier AUTH_MODE left is reported, with what ends it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from ops.client_secret import KEY_ID
from tests.ops.test_postprovision import SECRET, held_secret, newest
from tests.support.azure.world import CLIENT_ID, VAULT_ID, World

if TYPE_CHECKING:
    from tests.ops.conftest import Ops


@pytest.mark.parametrize("mode", ["federated", "verify"])
def test_secret_of_an_earlier_mode_is_told_with_what_ends_it(ops: Ops, world: World, mode: str) -> None:
    before = held_secret(world, days=100)
    assert ops("rotate", "client-secret").code == 0
    current = newest(world).tags[KEY_ID]

    outcome = ops("postprovision", AUTH_MODE=mode)

    assert outcome.code == 0, outcome.text
    for key_id in (before, current):
        assert f"az ad app credential delete --id {CLIENT_ID} --key-id {key_id}" in outcome.text
    assert f"{VAULT_ID}/secrets/{SECRET}?api-version=" in outcome.text
    assert newest(world).enabled, "servers of the earlier mode may still run"


def test_tag_that_somebody_wrote_into_the_vault_stays_one_word_of_the_command(ops: Ops, world: World) -> None:
    world.put_secret(SECRET, "a secret", tags={KEY_ID: "x'; exit; '"}, days_ago=1)
    outcome = ops("postprovision", AUTH_MODE="federated")
    (command,) = [line for line in outcome.text.splitlines() if "credential delete" in line]
    assert shlex.split(command)[-1] == "x'; exit; '"


def test_secret_of_an_earlier_mode_that_is_of_no_use_any_more_is_not_told(ops: Ops, world: World) -> None:
    held_secret(world, days=100)
    newest(world).enabled = False
    assert "earlier AUTH_MODE" not in ops("postprovision", AUTH_MODE="federated").text
    newest(world).enabled, newest(world).expires = True, int(world.now().timestamp()) - 60
    assert "earlier AUTH_MODE" not in ops("postprovision", AUTH_MODE="federated").text


def test_secret_that_somebody_brought_for_an_earlier_mode_is_theirs_to_remove(ops: Ops, world: World) -> None:
    world.put_secret(SECRET, "brought", tags={}, days_ago=1)
    outcome = ops("postprovision", AUTH_MODE="federated")
    assert "ask whoever made it" in outcome.text
    assert "credential delete" not in outcome.text
