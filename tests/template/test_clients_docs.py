"""docs/clients.md says what the last recorded run saw, of the versions that are pinned now."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from entra_mcp.known_clients import GROUPS, HOSTED
from tests.engine.compatibility import record
from tests.engine.compatibility.__main__ import differences
from tests.engine.compatibility.document import COLUMNS, DOCUMENT, EVENTS, REFUSALS, TASKS, document
from tests.engine.compatibility.drivers import DRIVERS, Found
from tests.engine.compatibility.seen import of_calls, of_tasks
from tests.engine.real_clients import ASSUMED, RECORDED

if TYPE_CHECKING:
    from pathlib import Path


def test_document_is_written_from_the_record() -> None:
    assert DOCUMENT.read_text("utf-8") == document(), (
        "PYTHONPATH=src python -m tests.engine.compatibility.document writes it again"
    )


def test_record_is_of_every_client_in_its_pinned_version() -> None:
    pinned = {driver.name: record.version_of(driver.package) for driver in DRIVERS}
    assert {name: seen["version"] for name, seen in record.read().items()} == pinned


def test_record_has_every_column_of_every_client() -> None:
    missing = {
        (client, name)
        for client, seen in record.read().items()
        for name in {*COLUMNS, *EVENTS, *REFUSALS} - seen.keys()
    }
    assert missing == set()


def test_record_has_the_tasks_of_every_client_that_knows_them() -> None:
    knows = {driver.name for driver in DRIVERS if driver.has_tasks}
    assert {client for client, seen in record.read().items() if TASKS.keys() <= seen.keys()} == knows


def test_no_task_is_claimed_that_was_not_seen() -> None:
    seen = of_tasks(Found(ok=False, message="Method not found"))
    assert seen["task_handle"] == "Method not found"
    assert "yes" not in seen.values()


def test_every_client_signs_in_lists_and_says_why_it_is_refused() -> None:
    for client, seen in record.read().items():
        assert "fault" not in seen, client
        assert seen["sign_in"] == "yes", client
        assert seen["list"] == ("yes" if seen["tools"] else "connects"), client
        assert "denied" in seen["denied"], client
        assert all(seen[name] for name in REFUSALS), client


def test_every_known_client_is_admitted_by_default_or_by_one_word() -> None:
    words = {"defaults", *GROUPS, *HOSTED}
    assert {client.entry.partition("@")[0] for client in (RECORDED | ASSUMED).values()} <= words


def test_difference_to_the_record_is_named() -> None:
    recorded: dict[str, dict[str, object]] = {"One": {"sign_in": "yes", "tools": 13}, "Other": {"sign_in": "yes"}}
    assert differences({"One": {"sign_in": "yes", "tools": 13}}, recorded) == []
    (line,) = differences({"One": {"sign_in": "access_denied", "tools": 13}}, recorded)
    assert re.match(r"One, sign_in: 'access_denied'", line)


def test_number_of_attempts_is_recorded_and_not_compared() -> None:
    recorded: dict[str, dict[str, object]] = {"One": {"sign_in": "yes"}}
    assert differences({"One": {"sign_in": "yes", "attempts": {"list": 2}}}, recorded) == []


def test_record_has_the_same_order_after_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results.json")
    record.write({"B": {"two": 2, "one": 1}})
    record.write({"A": {}, "B": {"one": 1, "two": 2}})
    assert record.RESULTS.read_text("utf-8") == json.dumps({"A": {}, "B": {"one": 1, "two": 2}}, indent=2) + "\n"


def test_record_as_it_is_kept_is_in_that_order() -> None:
    kept = json.dumps(record.read(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    assert record.RESULTS.read_text("utf-8") == kept


@pytest.mark.parametrize(
    ("facts", "calls", "seen"),
    [
        ({"tools": None}, False, ("connects", "needs an account", "needs an account")),
        ({"tools": ["add"]}, True, ("yes", "not tried", "does not offer the tool")),
        ({"tools": ["add", "admin_stats"]}, True, ("yes", "not tried", "offers the tool")),
        ({"tools": None}, True, ("connects", "not tried", "not tried")),
        (
            {"tools": ["add"], "arrivals": [], "role": {"error": "Unknown tool"}},
            True,
            ("yes", "not shown", "Unknown tool"),
        ),
    ],
)
def test_nothing_is_claimed_that_was_not_seen(
    facts: dict[str, Any], *, calls: bool, seen: tuple[str, str, str]
) -> None:
    found = of_calls(Found(ok=True, message="", facts=facts), calls=calls)
    assert (found["list"], found["progress"], found["missing_role"]) == seen
