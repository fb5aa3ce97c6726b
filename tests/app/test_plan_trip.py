"""The trip: questions over several requests where the client knows them, and a hint where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.instances import ALICE, call
from tests.support.mcp import SESSIONLESS, refusal, result, structured, tool_call

if TYPE_CHECKING:
    import httpx2

    from tests.support.instances import SignedIn

ROME = {"destination": "Rome"}
WISHES = {"wishes": {"action": "accept", "content": {"days": 3, "style": "food"}}}
APPROVAL = {"approval": {"action": "accept", "content": {"approved": True}}}

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


async def plan(http: httpx2.AsyncClient, answers: Any = None, state: str | None = None, **more: Any) -> httpx2.Response:  # noqa: ANN401 - JSON
    """One round."""
    rounds = {} if state is None else {"inputResponses": answers, "requestState": state}
    return await http.post("/mcp", **tool_call("plan_trip", ROME, protocol=SESSIONLESS, token=ALICE, **rounds, **more))


async def test_each_round_may_meet_another_instance(signed_in: SignedIn) -> None:
    async with signed_in() as first, signed_in() as second, signed_in() as third:
        asked = result(await plan(first))
        form = asked["inputRequests"]["wishes"]["params"]["requestedSchema"]
        assert set(form["properties"]) == {"days", "style"}
        assert form["properties"]["style"]["enum"] == ["food", "history", "nature"]
        confirm = result(await plan(second, WISHES, asked["requestState"]))
        assert "3 days of food in Rome" in confirm["inputRequests"]["approval"]["params"]["message"]
        trip = structured(await plan(third, APPROVAL, confirm["requestState"]))
    assert len(trip["days"]) == 3
    assert trip["days"][0] == "Day 1: a market in the morning"


@pytest.mark.parametrize(
    "answers",
    [
        {"wishes": {"action": "decline"}},
        {"wishes": {"action": "cancel"}},
        {"wishes": {"action": "accept", "content": {"days": 99, "style": "food"}}},
        {"wishes": {"action": "accept", "content": {"days": 2, "style": "golf"}}},
        {"wishes": {"action": "accept"}},
        {"other": {"action": "accept", "content": {"days": 2, "style": "food"}}},
        {},
    ],
    ids=str,
)
async def test_person_who_does_not_answer_gets_no_plan(signed_in: SignedIn, answers: dict[str, Any]) -> None:
    async with signed_in() as http:
        asked = result(await plan(http))
        trip = structured(await plan(http, answers, asked["requestState"]))
    assert trip["days"] == []
    assert "wished" in trip["note"]


@pytest.mark.parametrize("approval", [{"action": "accept", "content": {"approved": False}}, {"action": "decline"}])
async def test_person_who_does_not_approve_gets_no_plan(signed_in: SignedIn, approval: dict[str, Any]) -> None:
    async with signed_in() as http:
        asked = result(await plan(http))
        confirm = result(await plan(http, WISHES, asked["requestState"]))
        assert structured(await plan(http, {"approval": approval}, confirm["requestState"]))["days"] == []


async def test_approval_of_what_was_never_asked_plans_nothing(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        asked = result(await plan(http))
        answer = await plan(http, APPROVAL, asked["requestState"])
        assert refusal(answer) == "Error calling tool 'plan_trip'"


@pytest.mark.parametrize("arguments", [{"days": 2, "style": "nature"}])
async def test_trip_whose_wishes_are_given_is_planned_at_once(signed_in: SignedIn, arguments: dict[str, Any]) -> None:
    async with signed_in() as http:
        assert len(structured(await call(http, "plan_trip", **ROME, **arguments))["days"]) == 2


@pytest.mark.parametrize("protocol", ["2025-06-18", "2025-11-25"])
async def test_client_of_an_older_protocol_is_told_what_to_ask(signed_in: SignedIn, protocol: str) -> None:
    async with signed_in() as http:
        trip = structured(await http.post("/mcp", **tool_call("plan_trip", ROME, protocol=protocol, token=ALICE)))
    assert trip["days"] == []
    assert "call again with both" in trip["note"]


@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {"url": {}}}])
async def test_client_that_shows_no_forms_is_told_what_to_ask(
    signed_in: SignedIn, capabilities: dict[str, Any]
) -> None:
    async with signed_in() as http:
        trip = structured(await plan(http, meta={CAPABILITIES: capabilities}))
    assert "call again with both" in trip["note"]


async def test_client_that_names_no_mode_shows_forms(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        assert "inputRequests" in result(await plan(http, meta={CAPABILITIES: {"elicitation": {}}}))


@pytest.mark.parametrize("arguments", [{"destination": ""}, {**ROME, "days": 15}, {**ROME, "style": "golf"}])
async def test_trip_out_of_bounds_is_refused(signed_in: SignedIn, arguments: dict[str, Any]) -> None:
    async with signed_in() as http:
        assert "validation error" in refusal(await call(http, "plan_trip", **arguments))
