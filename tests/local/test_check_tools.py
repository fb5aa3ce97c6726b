"""The check calls what a server offers, whatever that is, and says what it did not call."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from fastmcp import Client, Context, FastMCP
from fastmcp.exceptions import ToolError
from mcp.types import ToolAnnotations

from local.account import Account
from local.check.report import CheckFailedError
from local.check.tools import call_tools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READS = ToolAnnotations(read_only_hint=True)
ADDRESS = "https://login.example/tenant/oauth2/v2.0/authorize?client_id=x"


async def said_about(server: FastMCP, *, consent: Callable[[str], Awaitable[None]] | None = None) -> str:
    sink = io.StringIO()
    async with Client(server) as client:
        await call_tools(client, report=Account(file=sink), consent=consent)
    return sink.getvalue()


async def test_server_without_a_tool_passes_and_says_so() -> None:
    assert "the server offers none" in await said_about(FastMCP("empty"))


async def test_tool_of_any_name_that_reads_without_arguments_is_called() -> None:
    server, called = FastMCP("fork"), list[str]()

    @server.tool(annotations=READS)
    def open_orders(limit: int = 3) -> dict[str, int]:
        called.append("open_orders")
        return {"count": limit}

    @server.tool(annotations=READS)
    def find_order(number: int, region: str) -> str:
        called.append("find_order")
        return f"{number} {region}"

    @server.tool(annotations=ToolAnnotations(read_only_hint=False))
    def cancel_all() -> str:
        called.append("cancel_all")
        return "gone"

    @server.tool
    def unsaid() -> str:
        called.append("unsaid")
        return "who knows"

    said = await said_about(server)
    assert called == ["open_orders"]
    assert '  ok  open_orders           {"count": 3}' in said
    assert "find_order needs number, region" in said
    assert "cancel_all may change something; unsaid may change something" in said


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("two\nlines", "two lines"),
        (5, "5"),
        ([1, 2], "[1,2]"),
        (None, "nothing"),
        ("x" * 200, f"{'x' * 99}…"),
        ({"name": "Zoë"}, '{"name": "Zoë"}'),
    ],
    ids=str,
)
async def test_answer_of_any_kind_is_shown_on_one_line(answer: object, shown: str) -> None:
    server = FastMCP("fork")
    server.tool(lambda: answer, name="answers", annotations=READS)
    (line,) = (await said_about(server)).splitlines()
    assert line.split("  (")[0] == f"  ok  {'answers':<22}{shown}"


async def test_progress_is_shown_as_it_comes() -> None:
    server = FastMCP("fork")

    @server.tool(annotations=READS)
    async def counts(context: Context) -> int:
        await context.report_progress(1, 2, "half")
        await context.report_progress(2, 2)
        return 2

    said = await said_about(server)
    assert said.index("half  (after") < said.index("2 of 2  (after") < said.index("  ok  counts")


async def test_tools_that_fail_are_all_named_after_every_tool_was_called() -> None:
    server = FastMCP("fork")

    def fail() -> str:
        raise ToolError("The room is taken.")

    server.tool(fail, name="first", annotations=READS)
    server.tool(fail, name="second", annotations=READS)
    server.tool(lambda: "fine", name="third", annotations=READS)
    sink = io.StringIO()
    async with Client(server) as client:
        with pytest.raises(CheckFailedError) as caught:
            await call_tools(client, report=Account(file=sink))
    assert caught.value.step == "tool first, second"
    assert caught.value.reason == "The room is taken.\nThe room is taken."
    assert "  ok  third" in sink.getvalue()


def asks_for_consent(given: list[str]) -> FastMCP:
    server = FastMCP("fork")

    @server.tool(annotations=READS)
    def calendar() -> str:
        if not given:
            raise ToolError(f"You have not yet allowed this. Open {ADDRESS} in your browser.")
        return "three events"

    return server


async def test_tool_that_asks_for_consent_is_called_again_once_it_is_given() -> None:
    given: list[str] = []

    async def consent(address: str) -> None:
        given.append(address)

    said = await said_about(asks_for_consent(given), consent=consent)
    assert given == [ADDRESS]
    assert "three events" in said


async def test_tool_that_asks_for_consent_is_left_out_where_nobody_gives_it() -> None:
    said = await said_about(asks_for_consent([]))
    assert f"calendar asks for consent at {ADDRESS}" in said
    assert "  ok  calendar" not in said
