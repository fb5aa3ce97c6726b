"""Microsoft Graph on the caller's behalf: consent on demand, one exchange, throttling, challenges, pages."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from fastmcp import Client as FastMCPClient
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from mcp.types import ElicitRequestURLParams, TextContent

from tests.engine.flows.conftest import BASE_URL, in_a_worker, over
from tests.support.mcp import refusal, structured
from tests.support.oauth import OAuthClient
from tests.support.standins import StandIns, open_page, press
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from entra_mcp.functions.lifespan import Lifespan

WEEK = {"first_day": "2026-07-27", "days": 5}


@pytest.fixture(scope="module")
def entra(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[StandIns]:
    """Stand-ins of this module's own: its tests consent, revoke and ask for faults."""
    with StandIns(folder=tmp_path_factory.mktemp("entra"), tls=certificates) as standins:
        yield standins


@pytest_asyncio.fixture(loop_scope="module")
async def server(entra: StandIns, environment: Callable[..., None]) -> AsyncIterator[Lifespan]:
    """An application of the test's own, which keeps no tokens yet."""
    environment(**entra.environment())
    async with in_a_worker() as lifespan:
        lifespan.start()
        yield lifespan


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Lifespan) -> AsyncIterator[OAuthClient]:
    async with in_own_task(over(server)) as http:
        yield OAuthClient(http=http)


async def follow(client: OAuthClient, url: str, account: str) -> httpx2.Response:
    """Opens the address as the person does, accepts, and comes back to the server."""
    page = await asyncio.to_thread(open_page, url)
    return await client.entra_return(await asyncio.to_thread(press, url, page, account=account))


def address_in(message: str) -> str:
    found = re.search(r"http://\S+", message)
    assert found, message
    return found[0]


async def counts(client: OAuthClient) -> dict[str, Any]:
    """What the server's cache did so far."""
    admin = OAuthClient(http=client.http)
    token = (await admin.sign_in("admin"))["access_token"]
    return structured(await admin.call(token, "admin_stats"))


async def test_missing_consent_is_given_at_the_address_in_the_message(client: OAuthClient) -> None:
    token = (await client.sign_in("admin"))["access_token"]
    message = refusal(await client.call(token, "my_calendar", WEEK))
    url = address_in(message)
    assert parse_qs(urlsplit(url).query)["scope"] == ["Calendars.Read"]
    assert "AADSTS" not in message
    page = await follow(client, url, "admin")
    assert page.status_code == 200
    assert "You have allowed it" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert structured(await client.call(token, "my_calendar", WEEK))["starts"]


async def test_consent_that_nobody_gave_is_told(client: OAuthClient) -> None:
    answer = await client.entra_return({"state": "consent", "error": "access_denied", "error_description": "<b>x"})
    assert "Nothing was allowed" in answer.text
    assert "<b>" not in answer.text


async def test_calendar_comes_page_by_page(client: OAuthClient, entra: StandIns) -> None:
    entra.sign_in(scope="Calendars.Read")
    token = (await client.sign_in())["access_token"]
    pages: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        page = structured(await client.call(token, "my_calendar", {**WEEK, "page_size": 6, "cursor": cursor}))
        pages.append(page["starts"])
        cursor = page["cursor"]
    assert [len(page) for page in pages] == [6, 6, 3]
    starts = [start for page in pages for start in page]
    assert starts == sorted(starts)
    assert len(set(starts)) == 15


async def test_token_for_an_api_of_ones_own_comes_once_its_consent_is_given(
    client: OAuthClient, entra: StandIns
) -> None:
    token = (await client.sign_in("approver"))["access_token"]
    url = address_in(refusal(await client.call(token, "order_token")))
    assert parse_qs(urlsplit(url).query)["scope"] == ["api://orders/Orders.Read"]
    await follow(client, url, "approver")
    found = structured(await client.call(token, "order_token"))["result"]
    async with httpx2.AsyncClient(base_url=entra.orders_url, headers={"Authorization": f"Bearer {found}"}) as orders:
        assert [order["id"] for order in (await orders.get("/orders", params={"limit": "1"})).json()["items"]] == [
            "1001"
        ]


@dataclass
class Person:
    """Somebody at a client that opens addresses: FastMCP's own."""

    client: OAuthClient
    account: str
    action: Literal["accept", "decline"]
    visits: bool
    asked: list[ElicitRequestURLParams] = field(default_factory=list[ElicitRequestURLParams])

    async def call(self, server: Lifespan, tool: str) -> str:
        """Signs in and calls the tool."""
        token = (await self.client.sign_in(self.account))["access_token"]

        def http(**given: Any) -> httpx2.AsyncClient:  # noqa: ANN401 - what the transport chooses
            given["timeout"] = 30
            return httpx2.AsyncClient(transport=StreamingASGITransport(server), **given)

        at = StreamableHttpTransport(f"{BASE_URL}/mcp", auth=token, httpx_client_factory=cast("Any", http))
        async with asyncio.TaskGroup() as visits:

            async def answer(message: str, _form: object, params: object, _context: object) -> ElicitResult[Any]:
                assert isinstance(params, ElicitRequestURLParams)
                assert params.message == message
                self.asked.append(params)
                if self.visits:
                    # A client answers once it has opened the address, while the person still reads the page.
                    visits.create_task(follow(self.client, params.url, self.account))
                return ElicitResult(action=self.action)

            async with FastMCPClient(at, elicitation_handler=answer) as mcp:
                (content,) = (await mcp.call_tool(tool, raise_on_error=False)).content
        assert isinstance(content, TextContent)
        return content.text


async def test_person_whose_client_opens_addresses_consents_within_the_call(
    client: OAuthClient, server: Lifespan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entra_mcp.downstream.tokens.PAUSE_SECONDS", 0.1)
    person = Person(client, account="admin", action="accept", visits=True)
    assert (await person.call(server, "order_token")).count(".") == 2
    (asked,) = person.asked
    assert parse_qs(urlsplit(asked.url).query)["scope"] == ["api://orders/Orders.Read"]
    assert "api://orders/Orders.Read" in asked.message
    assert "http" not in asked.message


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_person_who_does_not_consent_is_asked_once_and_told_the_address(
    client: OAuthClient, server: Lifespan, monkeypatch: pytest.MonkeyPatch, action: Literal["accept", "decline"]
) -> None:
    monkeypatch.setattr("entra_mcp.downstream.tokens.PAUSE_SECONDS", 0.01)
    person = Person(client, account="user", action=action, visits=False)
    assert address_in(await person.call(server, "order_token")) == person.asked[0].url
    assert len(person.asked) == 1


async def test_app_role_through_a_group_reaches_the_tool(client: OAuthClient) -> None:
    token = (await client.sign_in("approver"))["access_token"]
    assert structured(await client.call(token, "whoami"))["roles"] == ["Orders.Approver"]


async def test_calls_at_once_exchange_the_token_once(client: OAuthClient) -> None:
    token = (await client.sign_in())["access_token"]
    answers = await asyncio.gather(*(client.call(token, "graph_me") for _ in range(20)))
    assert all(structured(answer)["username"] for answer in answers)
    assert structured(await client.call(token, "graph_me"))["username"]
    stats = await counts(client)
    assert (stats["token_exchanges"], stats["tokens_kept"]) == (1, 1)
    assert stats["token_hits"] >= 1


async def test_throttled_graph_is_asked_again(client: OAuthClient, entra: StandIns) -> None:
    token = (await client.sign_in())["access_token"]
    entra.control("POST", "/graph/faults", {"status": 429, "retry_after": 1})
    assert structured(await client.call(token, "graph_me"))["username"]


async def test_graph_that_asks_for_more_patience_than_there_is_is_told(client: OAuthClient, entra: StandIns) -> None:
    token = (await client.sign_in())["access_token"]
    entra.control("POST", "/graph/faults", {"status": 429, "retry_after": 120})
    assert refusal(await client.call(token, "graph_me")) == "Microsoft Graph is busy. Try again in 120 s."
    assert structured(await client.call(token, "graph_me"))["username"]


async def test_challenge_that_a_newer_token_meets_is_not_noticed(client: OAuthClient, entra: StandIns) -> None:
    token = (await client.sign_in())["access_token"]
    assert structured(await client.call(token, "graph_me"))["username"]
    entra.control("POST", "/graph/faults", {"challenge": True})
    assert structured(await client.call(token, "graph_me"))["username"]
    assert (await counts(client))["token_exchanges"] == 2


async def test_person_whose_sign_in_was_revoked_is_asked_to_sign_in_again(client: OAuthClient, entra: StandIns) -> None:
    token = (await client.sign_in())["access_token"]
    assert structured(await client.call(token, "graph_me"))["username"]
    entra.control("POST", "/accounts/user/revoke")
    for _ in range(2):
        assert "sign in again" in refusal(await client.call(token, "graph_me"))
    # A second starts in which a new token is newer than the revocation.
    await asyncio.sleep(1.1)
    again = (await client.sign_in())["access_token"]
    assert structured(await client.call(again, "graph_me"))["username"]


async def test_exchange_that_fails_is_told_without_its_reason(client: OAuthClient, entra: StandIns) -> None:
    token = (await client.sign_in())["access_token"]
    entra.control("POST", "/faults", {"code": 7000215})
    message = refusal(await client.call(token, "graph_me"))
    assert "Try again" in message
    assert "AADSTS" not in message
    assert structured(await client.call(token, "graph_me"))["username"]
