"""Every tool through three workers, each request at the next of them, with clients of both eras of the protocol."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequestURLParams, ElicitResult, PromptReference, ResourceLink, TextResourceContents

from local.check.browser import Browser
from local.check.sign_in import Progress, SignIn
from local.check.storage import file_store
from tests.support.fleet import WORKERS, Fleet

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.fleet import RoundRobin

Era = Literal["legacy", "2026-07-28"]

NOTE = {"name": "drink", "text": "tea"}
ORDERS = {"year": 2024, "region": "asia"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), certificates=certificates) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keeps the sign-ins of the clients, which one test after the other uses."""
    return tmp_path_factory.mktemp("sign-ins")


@pytest.fixture
async def proxy(fleet: Fleet) -> AsyncIterator[RoundRobin]:
    async with fleet.serving() as proxy:
        yield proxy


@dataclass
class Person:
    """Who sits at a client, and the addresses that it opened for them."""

    account: str = "Local User"
    opened: list[str] = field(default_factory=list[str])

    async def answer(self, _message: str, _kind: Any, params: Any, _context: Any) -> ElicitResult:  # noqa: ANN401 - any question
        """What the person answers to each question."""
        if isinstance(params, ElicitRequestURLParams):
            await self.consent(params.url)
            return ElicitResult(action="accept")
        answers: dict[str, Any] = {"days": 3, "style": "food", "approved": True}
        asked = params.requested_schema["properties"]
        return ElicitResult(action="accept", content={name: answers[name] for name in asked})

    async def consent(self, url: str) -> None:
        """Opens the address and accepts there, which leads back to one of the workers."""
        self.opened.append(url)
        async with Browser() as browser:
            page = await browser.walk(await browser.open(url), [self.account])
        assert "You have allowed it" in page.text


@asynccontextmanager
async def signed_in(fleet: Fleet, kept: Path, era: Era, person: Person | None = None) -> AsyncGenerator[Client[Any]]:
    person = person or Person()
    url = f"{fleet.url}/mcp"
    storage = file_store(kept / person.account)
    progress = Progress(report=lambda _stage, _detail: None)
    auth = SignIn(url, progress=progress, storage=storage, labels=("Allow", person.account), name="Test client")
    transport = StreamableHttpTransport(url, auth=auth)
    async with Client(transport, mode=era, elicitation_handler=person.answer) as client:
        yield client


async def result(client: Client[Any], tool: str, **arguments: object) -> Any:  # noqa: ANN401 - as the tool's schema says
    content = (await client.call_tool(tool, arguments)).structured_content
    assert content is not None
    return content["result"] if content.keys() == {"result"} else content


pytestmark = [pytest.mark.long, pytest.mark.parametrize("era", ["legacy", "2026-07-28"])]


async def test_requests_go_to_each_worker_in_turn(fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era) -> None:
    async with signed_in(fleet, kept, era, Person("Local Admin")) as client:
        offered = {tool.name for tool in await client.list_tools()}
        processes = {(await result(client, "admin_stats"))["process"] for _ in range(WORKERS)}
    assert {"add", "admin_stats", "graph_me", "my_calendar", "plan_trip"} <= offered
    assert len(processes) == WORKERS
    assert max(proxy.served.values()) - min(proxy.served.values()) <= 1


async def test_simple_tools_work_wherever_they_land(fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era) -> None:
    async with signed_in(fleet, kept, era) as client:
        assert "admin_stats" not in {tool.name for tool in await client.list_tools()}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("admin_stats")
        for _ in range(WORKERS):
            caller = await result(client, "whoami")
            assert caller["username"] == "user@local.example"
            assert await result(client, "add", a=20, b=22) == 42
            assert (await result(client, "graph_me"))["object_id"] == caller["object_id"]


async def test_notes_written_at_one_worker_are_read_at_the_next(
    fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era
) -> None:
    async with signed_in(fleet, kept, era) as client, signed_in(fleet, kept, era, Person("Local Admin")) as other:
        assert await result(client, "remember", **NOTE) == NOTE
        for _ in range(WORKERS):
            assert await result(client, "recall") == [NOTE]
            assert await result(other, "recall") == []
        assert await result(client, "forget") == 1
        for _ in range(WORKERS):
            assert await result(client, "recall") == []


async def test_questions_are_asked_and_answered_across_workers_or_left_to_the_conversation(
    fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era
) -> None:
    async with signed_in(fleet, kept, era) as client:
        trip = await result(client, "plan_trip", destination="Rome")
        if era == "legacy":
            assert "call again with both" in trip["note"]
            trip = await result(client, "plan_trip", destination="Rome", days=3, style="food")
    assert len(trip["days"]) == 3


async def test_report_of_one_worker_is_read_at_the_others(
    fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era
) -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async with signed_in(fleet, kept, era) as client:
        exported = await client.call_tool(
            "export_report", {**ORDERS, "seconds_each_month": 0.02}, progress_handler=note
        )
        link = exported.content[1]
        assert isinstance(link, ResourceLink)
        for _ in range(WORKERS):
            (content,) = await client.read_resource(link.uri)
            assert isinstance(content, TextResourceContents)
            assert content.text.startswith("2024,asia\n")
    assert steps == [*range(1, 13)]


async def test_call_that_is_cancelled_is_left_by_its_client(
    fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era
) -> None:
    begun = asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    async with signed_in(fleet, kept, era) as client:
        steps = {"to": 60, "seconds_each": 0.2}
        call = asyncio.create_task(client.call_tool("count_slowly", steps, progress_handler=note))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await result(client, "add", a=1, b=1) == 2
        if era != "legacy":
            await left(proxy)
    # Before 2026-07-28 a cancellation is a message, which lands on any worker; the call ends when the client goes.
    await left(proxy)


async def left(proxy: RoundRobin) -> None:
    async with asyncio.timeout(60):
        while not proxy.left["/mcp"]:  # noqa: ASYNC110 - counted in the proxy
            await asyncio.sleep(0.01)


async def test_calendar_is_paged_across_workers_once_the_person_allows_it(
    fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era
) -> None:
    person = Person({"legacy": "Local User", "2026-07-28": "Local Admin"}[era])
    week = {"first_day": "2026-07-27", "days": 5, "page_size": 4}
    async with signed_in(fleet, kept, era, person) as client:
        if era == "legacy":
            with pytest.raises(ToolError) as refused:
                await client.call_tool("my_calendar", week)
            address = re.search(r"http://localhost:\d+/\S+", str(refused.value))
            assert address, refused.value
            await person.consent(address[0])
        starts: list[str] = []
        cursor: str | None = None
        while cursor is not None or not starts:
            page = await result(client, "my_calendar", **week, cursor=cursor)
            starts += page["starts"]
            cursor = page["cursor"]
    assert starts == sorted(starts)
    assert len(starts) == len(set(starts)) == 15
    assert [parse_qs(urlsplit(url).query)["scope"] for url in person.opened] == [["Calendars.Read"]]


async def test_resources_prompts_and_completions_work_wherever_they_land(
    fleet: Fleet, proxy: RoundRobin, kept: Path, era: Era
) -> None:
    async with signed_in(fleet, kept, era) as client:
        for _ in range(WORKERS):
            (catalogue,) = await client.read_resource("report://catalogue")
            assert isinstance(catalogue, TextResourceContents)
            assert '"asia"' in catalogue.text
            asked = await client.get_prompt("review_orders", {"year": "2024", "region": "asia"})
            assert asked.messages
            completed = await client.complete(PromptReference(name="review_orders"), {"name": "region", "value": "e"})
            assert completed.values == ["europe"]
