"""A tool that asks the person back, twice, and needs no memory in between: in a call, or in a background task."""

from __future__ import annotations

from typing import Annotated, Literal

from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, Field

from entra_mcp.toolkit import answered, ask, can_ask, declined, glyph

Days = Annotated[int, Field(ge=1, le=14, description="How many days the trip takes.")]
Style = Literal["food", "history", "nature"]

ASKED = "wishes"

IDEAS: dict[Style, tuple[str, ...]] = {
    "food": ("a market in the morning", "a cooking class", "the street kitchens"),
    "history": ("the old town", "the city museum", "a walk along the walls"),
    "nature": ("the botanical garden", "a hike to the viewpoint", "a day by the water"),
}


class Wishes(BaseModel):
    """What the plan depends on."""

    days: Days
    style: Annotated[Style, Field(description="What the trip is about.")]


class Approval(BaseModel):
    """Whether the outline is to be worked out."""

    approved: Annotated[bool, Field(description="Plan each day?")]


class Trip(BaseModel):
    """The plan, or why there is none."""

    destination: str
    days: list[str] = Field(description="What to do on each day; empty when nothing was planned.")
    note: str = Field(description="How it came to this, and what to do next.")


@tool(
    task=True,
    icons=[glyph("M12 21s-7-6-7-11a7 7 0 0 1 14 0c0 5-7 11-7 11z", "M12 8v4")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def plan_trip(
    context: Context,
    destination: Annotated[str, Field(min_length=1, max_length=80, description="Where to.")],
    days: Days | None = None,
    style: Annotated[Style | None, Field(description="What the trip is about.")] = None,
) -> Trip | InputRequiredResult:
    """Plan a trip. Asks the person for what is not given, and before it works the plan out."""
    if days is not None and style is not None:
        return _plan(destination, Wishes(days=days, style=style))
    if not can_ask(context):
        note = "Nothing was planned yet. Ask for the number of days and for the style, and call again with both."
        return Trip(destination=destination, days=[], note=note)
    if declined(context, "wishes") or declined(context, "approval"):
        return Trip(destination=destination, days=[], note="Nothing was planned: the person did not want it.")
    approval = None
    # The answers are nowhere else than in the state: each round may meet another instance.
    if context.request_state is None or context.request_state == ASKED:
        if (wishes := answered(context, "wishes", Wishes)) is None:
            return ask("wishes", Wishes, f"What is your trip to {destination} to be like?", state=ASKED)
    else:
        wishes = Wishes.model_validate_json(context.request_state)
        approval = answered(context, "approval", Approval)
    if approval is None:
        outline = f"{wishes.days} days of {wishes.style} in {destination}: shall I plan each day?"
        return ask("approval", Approval, outline, state=wishes.model_dump_json())
    if not approval.approved:
        return Trip(destination=destination, days=[], note="Nothing was planned, as the person wished.")
    return _plan(destination, wishes)


def _plan(destination: str, wishes: Wishes) -> Trip:
    ideas = IDEAS[wishes.style]
    days = [f"Day {day}: {ideas[(day - 1) % len(ideas)]}" for day in range(1, wishes.days + 1)]
    return Trip(destination=destination, days=days, note=f"{wishes.days} days of {wishes.style}.")
