"""The report: exported with progress, cancelled, read at its address, completed, and asked for by a prompt."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from typing import TYPE_CHECKING

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceLink, ResourceTemplateReference, TextContent, TextResourceContents

from app.samples.reports import COLUMNS, REGIONS, URI, report_months
from entra_mcp.toolkit.background import RUNNING, BackgroundTask

if TYPE_CHECKING:
    from fastmcp import FastMCP
    from fastmcp.client.progress import ProgressHandler
    from fastmcp.client.transports import FastMCPTransport

ORDERS = {"year": 2024, "region": "asia", "seconds_each_month": 0}
ADDRESS = "report://orders/2024/asia"


def watch(steps: list[float], begun: asyncio.Event | None = None) -> ProgressHandler:
    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (12, f"{progress:g} of 12 months")
        steps.append(progress)
        if begun is not None:
            begun.set()

    return note


async def read(client: Client[FastMCPTransport], address: str) -> str:
    (content,) = await client.read_resource(address)
    assert isinstance(content, TextResourceContents)
    return content.text


async def test_export_links_to_the_report_it_describes(server: FastMCP) -> None:
    steps: list[float] = []
    async with Client(server) as client:
        exported = await client.call_tool("export_report", ORDERS, progress_handler=watch(steps))
        text = await read(client, ADDRESS)
    assert steps == [*range(1, 13)]
    _, link = exported.content
    assert isinstance(link, ResourceLink)
    assert (link.uri, link.mime_type, link.size) == (ADDRESS, "text/csv", len(text.encode()))
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == list(COLUMNS)
    assert exported.structured_content == {
        "uri": ADDRESS,
        "rows": len(rows) - 1,
        "size": len(text.encode()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "sold": [sum(int(row[3]) for row in rows[1:] if row[1][5:7] == f"{month:02}") for month in range(1, 13)],
    }
    assert len(text) > 500_000


async def test_export_that_is_cancelled_stops(server: FastMCP) -> None:
    steps: list[float] = []
    begun = asyncio.Event()
    async with Client(server) as client:
        slow = {**ORDERS, "seconds_each_month": 0.05}
        call = asyncio.create_task(client.call_tool("export_report", slow, progress_handler=watch(steps, begun)))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.2)
    assert len(steps) < 5


async def test_export_that_broke_off_goes_on_from_its_checkpoint(server: FastMCP) -> None:
    steps: list[float] = []
    task = BackgroundTask()
    task.checkpoint = 11
    RUNNING.set(task)
    async with Client(server) as client:
        slow = {**ORDERS, "seconds_each_month": 0.05}
        exported = await client.call_tool("export_report", slow, progress_handler=watch(steps))
        assert exported.structured_content is not None
        assert exported.structured_content["size"] == len((await read(client, ADDRESS)).encode())
    assert steps == [12]


def test_report_is_the_same_wherever_it_is_made() -> None:
    made = "".join(report_months(2024, "asia"))
    assert (
        hashlib.sha256(made.encode()).hexdigest() == "07d5f0e090a48b8375ba797753d8da13d128a45722304edbb3a7ce04b19fc601"
    )
    assert made != "".join(report_months(2024, "africa"))


OUT_OF_BOUNDS = [{"year": 1999}, {"year": 2100}, {"year": None}, {"region": "mars"}, {"seconds_each_month": 61}]


@pytest.mark.parametrize("arguments", OUT_OF_BOUNDS, ids=str)
async def test_export_out_of_bounds_is_refused(server: FastMCP, arguments: dict[str, object]) -> None:
    async with Client(server) as client:
        with pytest.raises(ToolError, match="validation error"):
            await client.call_tool("export_report", ORDERS | arguments)


@pytest.mark.parametrize(
    "path",
    ["1999/asia", "x/asia", "2024/mars", "²/asia", f"{'9' * 5000}/asia", "02024/asia"],
    ids=lambda path: path[:9],
)
async def test_report_that_is_none_says_which_there_are(server: FastMCP, path: str) -> None:
    async with Client(server) as client:
        with pytest.raises(MCPError, match="2000 to 2099, of africa"):
            await client.read_resource(f"report://orders/{path}")


@pytest.mark.parametrize(
    "reference", [ResourceTemplateReference(uri=URI), PromptReference(name="review_orders")], ids=["template", "prompt"]
)
@pytest.mark.parametrize(
    ("argument", "typed", "suggested"),
    [
        ("region", "", list(REGIONS)),
        ("region", "a", ["africa", "americas", "asia"]),
        ("region", "AS", ["asia"]),
        ("region", "x", []),
        ("year", "200", [str(year) for year in range(2009, 1999, -1)]),
        ("colour", "", []),
    ],
)
async def test_arguments_are_completed(
    server: FastMCP,
    reference: ResourceTemplateReference | PromptReference,
    argument: str,
    typed: str,
    suggested: list[str],
) -> None:
    async with Client(server) as client:
        completion = await client.complete(reference, {"name": argument, "value": typed})
    assert completion.values == suggested


async def test_prompt_names_the_report(server: FastMCP) -> None:
    async with Client(server) as client:
        asked = await client.get_prompt("review_orders", {"year": "2024", "region": "asia"})
        (message,) = asked.messages
        assert isinstance(message.content, TextContent)
        assert ADDRESS in message.content.text


@pytest.mark.parametrize("arguments", [{"region": "mars"}, {"year": "1999"}, {"year": "2100"}])
async def test_prompt_for_a_report_that_is_none_is_refused(server: FastMCP, arguments: dict[str, str]) -> None:
    async with Client(server) as client:
        with pytest.raises(MCPError):
            await client.get_prompt("review_orders", {"year": "2024", "region": "asia"} | arguments)
