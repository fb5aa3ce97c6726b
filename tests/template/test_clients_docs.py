"""docs/clients.md says what the last recorded run saw, of the versions that are pinned now."""

from __future__ import annotations

import re

from entra_mcp.known_clients import GROUPS, HOSTED
from tests.engine.compatibility import record
from tests.engine.compatibility.__main__ import differences
from tests.engine.compatibility.document import COLUMNS, DOCUMENT, EVENTS, REFUSALS, document
from tests.engine.compatibility.drivers import DRIVERS
from tests.engine.real_clients import ASSUMED, RECORDED


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


def test_every_client_signs_in_lists_and_says_why_it_is_refused() -> None:
    for client, seen in record.read().items():
        assert "fault" not in seen, client
        assert seen["sign_in"] == seen["list"] == "yes", client
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
