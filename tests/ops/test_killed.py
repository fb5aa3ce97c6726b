"""A command that is killed, at whatever point, is finished by the next run, and a run after that changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ops.client_secret import PREVIOUS_KEY_ID
from ops.deployment import FILE
from tests.ops.test_postdown import deleted_vault
from tests.ops.test_postprovision import OWN, assert_well, held_secret, newest
from tests.support.azure.world import VAULT_ID, Kill, World
from tests.support.forks import forks
from tests.support.ops_process import run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.process import BaseProcess

    from tests.ops.conftest import Ops

MIN_REQUESTS = 5


def start_process(ops: Ops, arguments: Sequence[str], kill: Kill) -> BaseProcess:
    given = (arguments, ops.cloud.environment(), str(ops.root))
    process = forks().Process(target=run_in_process, args=given, daemon=True)
    process.start()
    assert process.pid is not None
    kill.victim.set_result(process.pid)
    return process


def prepared(ops: Ops, start: str) -> World:
    """A new world, as a run may find it."""
    ops.cloud.reset()
    world = ops.world
    world.add_application()
    world.resources[VAULT_ID.lower()] = {"id": VAULT_ID}
    match start:
        case "due for renewal" | "older generation":
            held_secret(world, days=5)
        case "good secret":
            held_secret(world, days=150, age=30)
        case _:
            pass
    if start == "older generation":
        older = world.add_password(name=OWN, days=1, started_days_ago=170)
        newest(world).tags[PREVIOUS_KEY_ID] = older
    if start == "taken down":
        world.resources.clear()
        deleted_vault(world)
    return world


def killed_runs(ops: Ops, arguments: Sequence[str], *, start: str, served: bool) -> Iterator[World]:
    """SIGKILL at each request of a run in turn, before the service sees it or unanswered, until a run gets through."""
    for at in range(1, 40):
        world = prepared(ops, start)
        world.kill = Kill(at=at, served=served)
        process = start_process(ops, arguments, world.kill)
        process.join(30)
        world.kill = None
        if process.exitcode == 0:
            assert at > MIN_REQUESTS, "the run was killed at each of its requests"
            return
        assert process.exitcode == -9, process.exitcode
        yield world
    pytest.fail("no run got through")


def assert_settled(ops: Ops, *arguments: str) -> None:
    """Another run finds nothing to do."""
    ops.world.requests.clear()
    assert ops(*arguments).code == 0
    assert {method for method, _ in ops.world.requests} == {"GET"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "start", "served"),
    [
        (("postprovision",), "empty vault", True),
        (("postprovision",), "due for renewal", False),
        (("postprovision",), "older generation", True),
        (("rotate", "client-secret"), "good secret", True),
        (("rotate", "client-secret"), "older generation", False),
    ],
)
def test_secret_is_well_after_a_run_that_was_killed_and_another(
    ops: Ops, command: tuple[str, ...], start: str, served: bool
) -> None:
    for world in killed_runs(ops, command, start=start, served=served):
        outcome = ops("postprovision")
        assert outcome.code == 0, outcome.text
        assert_well(world)
        assert_settled(ops, "postprovision")


@pytest.mark.long
@pytest.mark.parametrize("served", [True, False])
def test_purge_that_was_killed_is_finished_by_the_next(ops: Ops, served: bool) -> None:
    for world in killed_runs(ops, ("postdown", "--purge"), start="taken down", served=served):
        outcome = ops("postdown", "--purge")
        assert outcome.code == 0, outcome.text
        assert {**world.applications, **world.deleted_applications, **world.deleted_vaults} == {}
        assert_settled(ops, "postdown", "--purge")


def test_names_that_a_killed_run_did_not_write_to_the_end_are_written_by_the_next(ops: Ops) -> None:
    folder = ops.root / ".azure" / "dev"
    folder.mkdir(parents=True)
    assert ops("predown").code == 0
    before = (folder / FILE).read_text("utf-8")
    (folder / f"{FILE}.new").write_text(before[:20])
    assert ops("predown").code == 0
    assert (folder / FILE).read_text("utf-8") == before
    assert [file.name for file in folder.iterdir()] == [FILE]
