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


async def plan(http: httpx2.AsyncClient, answers: Any = None, state: str | None = None) -> httpx2.Response:  # noqa: ANN401 - JSON
    """One round."""
    rounds: dict[str, Any] = {} if state is None else {"inputResponses": answers, "requestState": state}
    return await http.post("/mcp", **tool_call("plan_trip", ROME, protocol=SESSIONLESS, token=ALICE, **rounds))


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


UNANSWERED: tuple[dict[str, Any], ...] = ({}, {"other": {"action": "accept", "content": {"approved": True}}})
UNFIT: tuple[dict[str, Any], ...] = (
    {"days": 99, "style": "food"},
    {"days": 2, "style": "golf"},
    {},
    {"approved": True},
)


@pytest.mark.parametrize(
    "answers", [*UNANSWERED, APPROVAL, *({"wishes": {"action": "accept", "content": each}} for each in UNFIT)]
)
async def test_wishes_that_are_not_answered_are_asked_for_again(signed_in: SignedIn, answers: dict[str, Any]) -> None:
    async with signed_in() as http:
        asked = result(await plan(http))
        again = result(await plan(http, answers, asked["requestState"]))
        assert again["inputRequests"] == asked["inputRequests"]
        assert "approval" in result(await plan(http, WISHES, again["requestState"]))["inputRequests"]


@pytest.mark.parametrize("answers", [*UNANSWERED, WISHES, {"approval": {"action": "accept", "content": {}}}])
async def test_approval_that_is_not_answered_is_asked_for_again(signed_in: SignedIn, answers: dict[str, Any]) -> None:
    async with signed_in() as http:
        confirm = result(await plan(http, WISHES, result(await plan(http))["requestState"]))
        again = result(await plan(http, answers, confirm["requestState"]))
        assert again["inputRequests"] == confirm["inputRequests"]
        assert len(structured(await plan(http, APPROVAL, again["requestState"]))["days"]) == 3


@pytest.mark.parametrize("answer", [{"action": "decline"}, {"action": "cancel"}])
async def test_person_who_declines_gets_no_plan(signed_in: SignedIn, answer: dict[str, Any]) -> None:
    async with signed_in() as http:
        asked = result(await plan(http))
        assert "not want" in structured(await plan(http, {"wishes": answer}, asked["requestState"]))["note"]
        confirm = result(await plan(http, WISHES, asked["requestState"]))
        assert "not want" in structured(await plan(http, {"approval": answer}, confirm["requestState"]))["note"]
        no = {"approval": {"action": "accept", "content": {"approved": False}}}
        assert "wished" in structured(await plan(http, no, confirm["requestState"]))["note"]


async def test_trip_whose_wishes_are_given_is_planned_at_once(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        assert len(structured(await call(http, "plan_trip", **ROME, days=2, style="nature"))["days"]) == 2


async def test_client_that_cannot_be_asked_is_told_what_to_ask(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        trip = structured(await call(http, "plan_trip", **ROME))
    assert trip["days"] == []
    assert "call again with both" in trip["note"]


@pytest.mark.parametrize("arguments", [{"destination": ""}, {**ROME, "days": 15}, {**ROME, "style": "golf"}])
async def test_trip_out_of_bounds_is_refused(signed_in: SignedIn, arguments: dict[str, Any]) -> None:
    async with signed_in() as http:
        assert "validation error" in refusal(await call(http, "plan_trip", **arguments))
