"""The notes: kept, replaced, read and forgotten, one person's at a time, within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from app.tools.notes import MAX_CHARACTERS, MAX_NOTES
from entra_mcp.storage.encryption import MAX_PLAIN_BYTES
from tests.support.instances import ALICE, BOB, call
from tests.support.mcp import refusal, structured

if TYPE_CHECKING:
    from tests.support.instances import SignedIn

DRINK = {"name": "drink", "text": "tea"}
FOOD = {"name": "food", "text": "rice"}


async def test_notes_are_read_oldest_first_or_by_name(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        for note in (DRINK, FOOD):
            assert structured(await call(http, "remember", **note)) == note
        assert structured(await call(http, "recall")) == {"result": [DRINK, FOOD]}
        assert structured(await call(http, "recall", name="food")) == {"result": [FOOD]}
        assert structured(await call(http, "recall", name="nothing")) == {"result": []}


async def test_note_of_the_same_name_is_replaced(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        await call(http, "remember", **DRINK)
        await call(http, "remember", name="drink", text="milk")
        assert structured(await call(http, "recall")) == {"result": [{"name": "drink", "text": "milk"}]}


@pytest.mark.parametrize(
    ("arguments", "forgotten", "left"), [({"name": "drink"}, 1, [FOOD]), ({"name": "x"}, 0, [DRINK, FOOD]), ({}, 2, [])]
)
async def test_forgotten_notes_are_gone(
    signed_in: SignedIn, arguments: dict[str, Any], forgotten: int, left: list[dict[str, str]]
) -> None:
    async with signed_in() as http:
        for note in (DRINK, FOOD):
            await call(http, "remember", **note)
        assert structured(await call(http, "forget", **arguments)) == {"result": forgotten}
        assert structured(await call(http, "recall")) == {"result": left}


async def test_notes_of_two_people_are_apart(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        await call(http, "remember", **DRINK)
        await call(http, "remember", **FOOD, token=BOB)
        await call(http, "forget", token=BOB)
        assert structured(await call(http, "recall", token=ALICE)) == {"result": [DRINK]}


async def test_notes_have_a_number_that_is_told(signed_in: SignedIn) -> None:
    async with signed_in() as http:
        for number in range(MAX_NOTES):
            await call(http, "remember", name=str(number), text="x")
        assert "Forget one first" in refusal(await call(http, "remember", name="more", text="x"))
        assert structured(await call(http, "remember", name="0", text="changed"))["text"] == "changed"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("remember", {"name": "", "text": "x"}),
        ("remember", {"name": "n" * 65, "text": "x"}),
        ("remember", {"name": "n", "text": ""}),
        ("remember", {"name": "n", "text": "x" * (MAX_CHARACTERS + 1)}),
        ("recall", {"name": ""}),
        ("forget", {"name": "n" * 65}),
    ],
)
async def test_note_out_of_bounds_is_refused(signed_in: SignedIn, tool: str, arguments: dict[str, str]) -> None:
    async with signed_in() as http:
        assert "validation error" in refusal(await call(http, tool, **arguments))


def test_most_and_longest_notes_fit_into_the_store() -> None:
    widest = "\U0001f600"
    notes = {f"{number:02}{widest * 62}": widest * MAX_CHARACTERS for number in range(MAX_NOTES)}
    assert len(json.dumps({"value": {"state": {"notes": notes}}})) < MAX_PLAIN_BYTES
