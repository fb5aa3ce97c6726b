"""Calls the sample tools that need more than one request: notes, questions, a large report, a calendar in pages."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from fastmcp.exceptions import ToolError
from mcp.types import TextResourceContents

from local.check.browser import Browser
from local.check.calls import ANSWERS, content
from local.check.report import CheckFailedError
from local.check.sign_in import PERSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastmcp import Client

    from local.check.report import Reporter

NOTE = {"name": "check of the local run", "text": "the next request may reach another instance"}
DAYS = {"first_day": "2026-07-27", "days": 5, "page_size": 10}
MOST_PAGES = 10


async def notes(client: Client[Any], _report: Reporter) -> str:
    """A note is there in the next request, and gone once it is forgotten."""
    await content(client, "remember", **NOTE)
    kept = await content(client, "recall", name=NOTE["name"])
    forgotten = await content(client, "forget", name=NOTE["name"])
    if kept.get("result") != [NOTE] or forgotten.get("result") != 1:
        raise CheckFailedError("tool recall", f"the note came back as {kept}, and {forgotten} were forgotten")
    return "a note was kept, read and forgotten"


async def plan_trip(client: Client[Any], _report: Reporter) -> str:
    """The tool asks twice, in requests of their own."""
    trip = await content(client, "plan_trip", destination="Rome")
    if len(trip.get("days", [])) != ANSWERS["days"]:
        raise CheckFailedError("tool plan_trip", f"it planned nothing: {trip.get('note')}")
    return f"asked for the wishes, asked for approval, planned {len(trip['days'])} days"


async def export_report(client: Client[Any], _report: Reporter) -> str:
    """The result is a link, and what it leads to is what the tool says."""
    export = await content(client, "export_report", year=2025, region="europe", seconds_each_month=0)
    (report,) = await client.read_resource(export["uri"])
    text = report.text if isinstance(report, TextResourceContents) else ""
    if hashlib.sha256(text.encode()).hexdigest() != export["sha256"]:
        raise CheckFailedError("tool export_report", f"{export['uri']} is not the report that was exported")
    return f"{export['rows']:,} orders, {export['size']:,} bytes, read through the link {export['uri']}"


async def my_calendar(client: Client[Any], report: Reporter, *, shortcuts: Mapping[str, str]) -> str:
    """The person allows what the sign-in did not ask for, then the events come page by page."""
    try:
        page = await content(client, "my_calendar", **DAYS)
    except ToolError as refusal:
        address = re.search(r"https?://\S+", str(refusal))
        if address is None:
            raise
        report.progress("not allowed yet: a person opens the address in the message, and accepts")
        async with Browser(shortcuts=shortcuts) as browser:
            await browser.walk(await browser.open(address[0]), PERSON, on_click=lambda _click: None)
        page = await content(client, "my_calendar", **DAYS)
    events, pages = len(page["events"]), 1
    while page["cursor"] is not None and pages < MOST_PAGES:
        page = await content(client, "my_calendar", **DAYS, cursor=page["cursor"])
        events, pages = events + len(page["events"]), pages + 1
    return f"{events} events in {pages} pages"
