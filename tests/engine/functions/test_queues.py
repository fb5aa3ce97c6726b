"""Queue triggers behave as the Storage Queues extension of the real host was seen to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.config import REPOSITORY
from local.host.errors import UnsupportedError
from local.host.messages import Function
from local.host.queues import Listener
from local.host.settings_files import QueueOptions
from tests.engine.functions.harness import running_host
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = REPOSITORY / "tests" / "engine" / "functions" / "apps" / "queue_app"


class Queues:
    """What is in the queues, and what the function has done."""

    def __init__(self, connection_string: str, record: Path) -> None:
        self.connection_string = connection_string
        self.work = QueueClient.from_connection_string(connection_string, "work")
        self.poison = QueueClient.from_connection_string(connection_string, "work-poison")
        self._record = record

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.work.send_message(body)

    def runs(self, body: str) -> list[dict[str, Any]]:
        lines = self._record.read_text().splitlines() if self._record.exists() else []
        return [run for run in map(json.loads, lines) if run["body"] == body]

    def poisoned(self) -> list[str]:
        try:
            return [message.content for message in self.poison.peek_messages(max_messages=32)]
        except ResourceNotFoundError:
            return []

    def left(self) -> int:
        return self.work.get_queue_properties().approximate_message_count or 0

    def __enter__(self) -> Queues:
        return self

    def __exit__(self, *_: object) -> None:
        self.work.close()
        self.poison.close()


@pytest.fixture
def queues(tmp_path: Path, own_account: str) -> Iterator[Queues]:
    record = tmp_path / "record"
    with Queues(own_account, record) as queues:
        environment = {"AzureWebJobsStorage": own_account, "RECORD": str(record)}
        with running_host(APP, log=tmp_path / "host.log", environment=environment):
            queues.work.create_queue()
            yield queues


def test_message_is_delivered_once_and_deleted(queues: Queues) -> None:
    queues.send("hello")
    assert eventually(lambda: len(queues.runs("hello")) == 1 and queues.left() == 0, seconds=60)
    (run,) = queues.runs("hello")
    assert run["attempt"] == 1
    assert run["id"]


def test_message_whose_function_fails_comes_again_and_ends_in_the_poison_queue(queues: Queues) -> None:
    queues.send("fail", "hello")
    assert eventually(lambda: queues.poisoned() == ["fail"], seconds=60)
    assert [run["attempt"] for run in queues.runs("fail")] == [1, 2, 3]
    assert len(queues.runs("hello")) == 1
    assert eventually(lambda: queues.left() == 0)


def test_message_of_a_poison_queue_whose_function_fails_stays_invisible(queues: Queues) -> None:
    """There is no poison queue of a poison queue, so the host leaves the message as it is."""
    with QueueClient.from_connection_string(queues.connection_string, "odd-poison") as odd:
        odd.create_queue()
        odd.send_message("fail here")
        assert eventually(lambda: len(queues.runs("fail here")) == 1, seconds=60)
        queues.send("fail")
        assert eventually(lambda: queues.poisoned() == ["fail"], seconds=60), "after three tries"
        assert len(queues.runs("fail here")) == 1
        assert odd.get_queue_properties().approximate_message_count == 1
    none = QueueClient.from_connection_string(queues.connection_string, "odd-poison-poison")
    with none, pytest.raises(ResourceNotFoundError):
        none.get_queue_properties()


def test_as_many_run_at_once_as_a_batch_and_the_threshold(queues: Queues) -> None:
    queues.send(*["sleep 1"] * 14)
    assert eventually(lambda: len(queues.runs("sleep 1")) == 14 and queues.left() == 0, seconds=60)
    assert 4 <= max(run["running"] for run in queues.runs("sleep 1")) <= 6


def test_death_of_the_worker_counts_for_every_message_in_flight(queues: Queues) -> None:
    queues.send("sleep 30")
    assert eventually(lambda: len(queues.runs("sleep 30")) == 1, seconds=60)
    queues.send("die")
    assert eventually(lambda: sorted(queues.poisoned()) == ["die", "sleep 30"], seconds=90)
    assert [run["attempt"] for run in queues.runs("die")] == [1, 2, 3]
    assert len({run["process"] for run in queues.runs("die")}) == 3


def test_connection_has_to_be_a_connection_string() -> None:
    trigger = {"type": "queueTrigger", "name": "m", "queueName": "q", "connection": "Store"}
    no_worker = cast("Any", None)
    with pytest.raises(UnsupportedError, match="Store"):
        Listener(Function(name="f", id="f", trigger=trigger), no_worker, environment={}, options=QueueOptions())
