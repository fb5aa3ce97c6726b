"""What an operator finds in Application Insights, as the host and the application would send it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from entra_mcp.audit import Event
from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.application_insights import Recording

pytestmark = pytest.mark.asyncio(loop_scope="package")

USER = "aaaaaaaa-0001-4000-8000-000000000001"
READ = r"GET /\w+/Insights\("
"""The name of a request for a row of the table."""


@pytest.mark.parametrize("event", Event)
async def test_audit_event_is_there_with_its_operation_and_its_person(recorded: Recording, event: Event) -> None:
    found = [(row, line) for row, line in recorded.audit() if line["event"] == event]

    assert found
    for row, line in found:
        assert row["customDimensions"]["Category"] == "Function.mcp.User"
        assert row["operation_Id"] == line["correlation_id"]
    people = {line["user"] for _, line in found}
    assert people == ({None} if event == Event.REGISTRATION else people & {USER, None})
    assert event in {Event.REGISTRATION, Event.REFUSAL} or people == {USER}


async def test_each_request_is_there_with_its_own_status(recorded: Recording) -> None:
    found = Counter((row["url"].partition("localhost")[2], row["resultCode"]) for row in recorded.requests)

    assert found["/register", "201"] == 1
    assert found["/mcp", "200"] == 3
    assert found["/mcp", "401"] == 1
    assert found["/token", "413"] == 1
    assert found["/token", "503"] == 1


async def test_line_of_a_refusal_belongs_to_the_operation_of_its_request(recorded: Recording) -> None:
    (request,) = [row for row in recorded.requests if row["resultCode"] == "413"]
    lines = [row["message"] for row in recorded.traces if row["operation_Id"] == request["operation_Id"]]

    assert any(line.startswith("POST /token answered 413 to ") for line in lines)


async def test_start_is_there_once_though_it_has_no_invocation(recorded: Recording) -> None:
    (line,) = [row for row in recorded.traces if " is up at " in row["message"]]
    heading = next(row for row in recorded.traces if " lines follow " in row["message"])

    assert line["timestamp"] >= heading["timestamp"], "it has the time at which it was logged again"


HOST_RECORDS = Path(__file__).with_name("host_records.json")
"""One record of each kind, as the real host (4.1037) sent it for this server."""


def alike(real: Any, local: Any) -> Any:  # noqa: ANN401 - any JSON
    """What the real host sent, without the fields that the local one does not write."""
    if not isinstance(real, dict):
        return real
    fields = cast("dict[str, Any]", real)
    return {name: alike(value, local[name]) for name, value in fields.items() if name in local}


def unwritten(recorded: Recording) -> dict[str, int]:
    """By the kind of a record: bytes of what the real host writes into it and the local one does not."""
    found: dict[str, int] = {}
    for kind, real in json.loads(HOST_RECORDS.read_text("utf-8")).items():
        category = real["data"]["baseData"]["properties"]["Category"]
        local = next(
            each
            for each in recorded.envelopes
            if each["data"]["baseType"] == kind and each["data"]["baseData"]["properties"].get("Category") == category
        )
        found[kind] = len(json.dumps(real)) - len(json.dumps(alike(real, local)))
    return found


def spent(recorded: Recording, operations: Collection[str], *, name: str = "") -> tuple[int, float]:
    """How many records of such a name the operations have, and their kilobytes; without lines of the start."""
    found = [each for each in recorded.envelopes if each["tags"].get("ai.operation.id") in operations]
    found = [each for each in found if each["data"]["baseData"].get("message", "{").startswith("{")]
    found = [each for each in found if re.match(name, each["data"]["baseData"].get("name", ""))]
    of_the_host = [each for each in found if each["tags"]["ai.internal.sdkVersion"].startswith("azurefunctions")]
    sizes = unwritten(recorded)
    extra = sum(sizes[each["data"]["baseType"]] for each in of_the_host)
    return len(found), (sum(len(json.dumps(each)) for each in found) + extra) / 1000


def documented() -> dict[str, tuple[float, float]]:
    """Records and kilobytes by what the table of docs/telemetry.md says that they are for."""
    text = (REPOSITORY / "docs" / "telemetry.md").read_text("utf-8")
    row = r"^\| ([^|:]+?)(?::[^|]*)? \| (\d+) \| ([\d.]+) \| ([\d.]+) GB, \$([\d.]+) \|$"
    rows = re.findall(row, text, re.MULTILINE)
    for _, _, kilobytes, gigabytes, price in rows:
        assert gigabytes == kilobytes
        assert float(price) == pytest.approx(2.30 * float(gigabytes), abs=0.01)
    return {what: (int(records), float(kilobytes)) for what, records, kilobytes, *_ in rows}


def calls(recorded: Recording) -> list[str]:
    return [row["operation_Id"] for row in recorded.requests if row["name"] == "tools/call add"]


async def test_call_is_a_record_of_the_host_one_of_the_tool_and_one_for_each_read_of_storage(
    recorded: Recording,
) -> None:
    counts: list[int] = []
    for operation in calls(recorded):
        envelopes = [each for each in recorded.envelopes if each["tags"].get("ai.operation.id") == operation]
        names = [each["data"]["baseData"].get("name", "a line of the log") for each in envelopes]
        storage = [name for name in names if re.match(READ, name)]
        assert sorted(set(names) - set(storage)) == ["mcp", "tools/call add"]
        counts.append(len(names))

    assert counts == [3, 2, 2], "the second call finds in the cache what the first has read"


async def test_documentation_states_what_is_recorded(recorded: Recording) -> None:
    """What is charged for: each kilobyte of a call a million times, for a million calls."""
    paths = {row["operation_Id"]: row["url"].partition("localhost")[2] for row in recorded.requests if row["url"]}
    events = {line["event"]: row["operation_Id"] for row, line in recorded.audit()}
    signing_in = {"/register", "/authorize", "/consent", "/auth/callback"}
    found = {
        "a call of `add`": spent(recorded, calls(recorded)[-1:]),
        "each read from storage that it needs": spent(recorded, calls(recorded)[:1], name=READ),
        "a refresh, its audit line included": spent(recorded, {events["refresh"]}),
        "a sign-in, six requests, with its audit lines": spent(
            recorded, {events["sign_in"], *(each for each, path in paths.items() if path in signing_in)}
        ),
    }
    stated = documented()

    assert found.keys() <= stated.keys()
    for what, (records, kilobytes) in found.items():
        # A write may be tried again, and ids have different lengths.
        assert stated[what][0] * 0.85 <= records <= stated[what][0], (what, found[what])
        assert stated[what][1] * 0.85 <= kilobytes <= stated[what][1] + 0.1, (what, found[what])


async def test_exporter_sends_nothing_of_its_own(recorded: Recording) -> None:
    metrics = [each["data"]["baseData"] for each in recorded.envelopes if each["data"]["baseType"] == "MetricData"]
    names = {metric["metrics"][0]["name"] for metric in metrics}

    assert names
    assert [name for name in names if not name.startswith(("entra_mcp.", "mcp.", "http."))] == []
    assert [row["message"] for row in recorded.traces if row["message"].startswith("Transmission")] == []


async def test_nothing_is_told_twice(recorded: Recording) -> None:
    names = Counter(row["name"] for row in recorded.dependencies if row["success"])
    lines = Counter((row["operation_Id"], row["message"]) for row in recorded.traces if row["operation_Id"])

    assert [name for name in names if name.startswith(("POST /mcp", "POST /token", "TableClient.", "Executed"))] == []
    # A request that waits for the start may get two lots of lines, each under a heading.
    assert [line for line, times in lines.items() if times > 1 and " lines follow " not in line[1]] == []
    told = {row["customDimensions"]["Category"] for row in recorded.traces if row["severityLevel"] < 2}
    assert told <= {"Function.mcp.User", "Function.purge", "Function.purge.User"}
