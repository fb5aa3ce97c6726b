"""What an operator finds in Application Insights, as the host and the application would send it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from entra_mcp.audit import Event

if TYPE_CHECKING:
    from tests.support.application_insights import Recording

pytestmark = pytest.mark.asyncio(loop_scope="package")

USER = "aaaaaaaa-0001-4000-8000-000000000001"


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
    assert sum(" is up at " in row["message"] for row in recorded.traces) == 1


async def test_call_is_a_record_of_the_host_one_of_the_tool_and_one_for_each_request_to_storage(
    recorded: Recording,
) -> None:
    """What is charged for: each kilobyte of it a million times, for a million calls."""
    calls = [row["operation_Id"] for row in recorded.requests if row["name"] == "tools/call add"]
    assert len(calls) == 3
    for operation in calls:
        envelopes = [each for each in recorded.envelopes if each["tags"].get("ai.operation.id") == operation]
        names = sorted(each["data"]["baseData"].get("name", "a line of the log") for each in envelopes)
        assert names[:1] != ["a line of the log"]
        storage = [name for name in names if name.startswith("GET /devstoreaccount1/")]
        assert sorted(set(names) - set(storage)) == ["mcp", "tools/call add"]
        assert len(storage) <= 2
        assert sum(len(json.dumps(each)) for each in envelopes) < 4600


async def test_nothing_is_told_twice(recorded: Recording) -> None:
    names = Counter(row["name"] for row in recorded.dependencies if row["success"])
    lines = Counter((row["operation_Id"], row["message"]) for row in recorded.traces if row["operation_Id"])

    assert [name for name in names if name.startswith(("POST /mcp", "POST /token", "TableClient.", "Executed"))] == []
    # A request that waits for the start may get two lots of lines, each under a heading.
    assert [line for line, times in lines.items() if times > 1 and " lines follow " not in line[1]] == []
    told = {row["customDimensions"]["Category"] for row in recorded.traces if row["severityLevel"] < 2}
    assert told <= {"Function.mcp.User", "Function.purge", "Function.purge.User"}
