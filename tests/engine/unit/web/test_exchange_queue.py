"""So many exchanges at once, the others in their lines, and a refusal of what would wait too long."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from entra_mcp.request import REQUEST, RequestScope
from entra_mcp.web.exchange_queue import ExchangeQueue, begin_turn, end_turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

AT_ONCE, WAITING = 2, 3


class Exchanges:
    """An endpoint whose requests end when the test says so; they are named in their query."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.end = asyncio.Event()
        self.document = asyncio.Event()
        self.went_on: list[str] = []
        self.fails = False

    async def answer(self, request: Request) -> PlainTextResponse:
        self.begun.append(request.url.query)
        if request.url.query.startswith("stranger"):
            end_turn()
            await self.document.wait()
            await begin_turn()
            self.went_on.append(request.url.query)
        await self.end.wait()
        if self.fails:
            raise ZeroDivisionError
        return PlainTextResponse(await request.body())


@asynccontextmanager
async def serving(
    exchanges: Exchanges, *, seconds: float = 60.0, see_clients_leave: bool = False
) -> AsyncGenerator[httpx2.AsyncClient]:
    routes = [Route("/{path:path}", exchanges.answer, methods=["GET", "POST"])]
    app = ExchangeQueue(Starlette(routes=routes), at_once=AT_ONCE, waiting=WAITING, seconds=seconds)

    async def scoped(scope: Scope, receive: Receive, send: Send) -> None:
        REQUEST.set(RequestScope(correlation_id="", address=f"203.0.{dict(scope['headers'])[b'network'].decode()}.7"))
        await app(scope, receive, send)

    # The other one cancels the application when its client leaves.
    leaving = StreamingASGITransport(scoped)
    transport = leaving if see_clients_leave else httpx2.ASGITransport(app=scoped, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers={"network": "0"}) as http:
        yield http


def ask(http: httpx2.AsyncClient, *names: str, network: int = 0) -> list[asyncio.Task[httpx2.Response]]:
    headers = {"network": str(network)}
    return [asyncio.create_task(http.post(f"/token?{name}", content=name, headers=headers)) for name in names]


async def begun(exchanges: Exchanges, count: int) -> None:
    """Waits until so many have begun, and long enough for one more to begin."""
    async with asyncio.timeout(60):
        while len(exchanges.begun) < count:  # noqa: ASYNC110 - the endpoint has no event for it
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)


async def test_exchanges_begin_in_their_order_and_so_many_at_once() -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        tasks = ask(http, "1", "2", "3", "4", "5")
        await begun(exchanges, AT_ONCE)
        assert exchanges.begun == ["1", "2"]
        exchanges.end.set()
        answers = await asyncio.gather(*tasks)
    assert [answer.status_code for answer in answers] == [200] * 5
    assert exchanges.begun == ["1", "2", "3", "4", "5"]


async def test_exchange_beyond_those_who_may_wait_is_refused_at_once_and_never_begins() -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        tasks = ask(http, "1", "2", "3", "4", "5")
        await begun(exchanges, AT_ONCE)
        refused = await http.post("/token?6")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["cache-control"] == "no-store"
        assert refused.json()["error"] == "temporarily_unavailable"
        exchanges.end.set()
        await asyncio.gather(*tasks)
        assert (await http.post("/token?7")).status_code == 200
    assert "6" not in exchanges.begun


async def test_networks_are_served_in_turn() -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        tasks = ask(http, "1", "2", "3", "4")
        await begun(exchanges, AT_ONCE)
        tasks += ask(http, "of another", network=1)
        await begun(exchanges, AT_ONCE)
        exchanges.end.set()
        answers = await asyncio.gather(*tasks)
    assert [answer.text for answer in answers] == ["1", "2", "3", "4", "of another"], "none lost its body"
    assert exchanges.begun == ["1", "2", "3", "of%20another", "4"]


async def test_longest_line_loses_its_newest_where_all_places_are_taken() -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        first = ask(http, "1", "2", "3", "4", "5")
        await begun(exchanges, AT_ONCE)
        second = ask(http, "second", network=1)
        assert (await first.pop()).status_code == 503
        assert (await ask(http, "second too", network=1)[0]).status_code == 503, "as many as the first would have"
        third = ask(http, "third", network=2)
        assert (await first.pop()).status_code == 503
        assert (await ask(http, "fourth", network=3)[0]).status_code == 503, "each of the others has one place"
        exchanges.end.set()
        assert {answer.status_code for answer in await asyncio.gather(*first, *second, *third)} == {200}
    assert exchanges.begun == ["1", "2", "3", "second", "third"]


async def test_exchange_whose_client_leaves_the_line_never_begins() -> None:
    exchanges = Exchanges()
    async with serving(exchanges, see_clients_leave=True) as http:
        people, leaving = ask(http, "1", "2"), ask(http, "3", "4", "5", network=1)
        await begun(exchanges, AT_ONCE)
        for task in leaving:
            task.cancel()
        await begun(exchanges, AT_ONCE)
        waiting = ask(http, "6", "7", "8")
        await begun(exchanges, AT_ONCE)
        assert not any(task.done() for task in waiting), "their places are free again"
        exchanges.end.set()
        answers = await asyncio.gather(*people, *waiting)
        assert [answer.text for answer in answers] == ["1", "2", "6", "7", "8"]
    assert exchanges.begun == ["1", "2", "6", "7", "8"]


async def test_exchange_whose_client_leaves_before_it_goes_on_never_does() -> None:
    exchanges = Exchanges()
    async with serving(exchanges, see_clients_leave=True) as http:
        (stranger,) = ask(http, "stranger")
        await begun(exchanges, 1)
        people = ask(http, "1", "2")
        await begun(exchanges, 1 + AT_ONCE)
        exchanges.document.set()
        await begun(exchanges, 1 + AT_ONCE)
        stranger.cancel()
        await begun(exchanges, 1 + AT_ONCE)
        people += ask(http, "3", "4", "5")
        exchanges.end.set()
        assert {answer.status_code for answer in await asyncio.gather(*people)} == {200}
    assert exchanges.went_on == []


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_turn_that_comes_while_its_client_leaves_goes_to_the_next(is_cancelled: bool) -> None:
    begun: list[str] = []
    sent: list[Message] = []
    end, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["name"])
        await end.wait()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def receive_nothing() -> Message:
        return await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    queue = ExchangeQueue(app, at_once=1)

    def come(name: str, receive: Receive = receive_nothing) -> asyncio.Task[Any]:
        scope: Scope = {"type": "http", "method": "POST", "path": "/token", "name": name}
        return asyncio.create_task(queue(scope, receive, send))

    first, second, third = come("first"), come("second", receive), come("third")
    for _ in range(20):
        await asyncio.sleep(0)
    first.cancel()
    if is_cancelled:
        second.cancel()
    else:
        left.set()
    end.set()
    await asyncio.wait((first, second, third))
    assert (begun, sent) == (["first", "third"], [])


async def test_exchange_whose_turn_does_not_come_in_time_is_refused_and_never_begins() -> None:
    exchanges = Exchanges()
    async with serving(exchanges, seconds=0.05) as http:
        first = ask(http, "1", "2")
        await begun(exchanges, AT_ONCE)
        assert [answer.status_code for answer in await asyncio.gather(*ask(http, "3", "4"))] == [503, 503]
        exchanges.end.set()
        await asyncio.gather(*first)
        assert (await http.post("/token?5")).status_code == 200
    assert exchanges.begun == ["1", "2", "5"]


async def test_another_turn_is_refused_at_once_where_too_many_wait() -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        (stranger,) = ask(http, "stranger")
        await begun(exchanges, 1)
        people = ask(http, "1", "2", "3", "4", "5")
        await begun(exchanges, 1 + AT_ONCE)
        exchanges.document.set()
        assert (await stranger).status_code == 500, "the endpoint of this test passes the error on"
        exchanges.end.set()
        assert {answer.status_code for answer in await asyncio.gather(*people)} == {200}


async def test_exchange_that_waits_for_what_a_stranger_chose_holds_no_turn() -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        strangers = ask(http, *(f"stranger{number}" for number in range(3)))
        await begun(exchanges, 3)
        people = ask(http, "1", "2", "3")
        await begun(exchanges, 3 + AT_ONCE)
        assert exchanges.begun[3:] == ["1", "2"]
        strangers.pop().cancel()
        exchanges.document.set()
        await begun(exchanges, 3 + AT_ONCE)
        assert (exchanges.begun[5:], exchanges.went_on) == ([], []), "all of them wait for a turn now"
        exchanges.end.set()
        answers = await asyncio.gather(*strangers, *people)
        assert {answer.status_code for answer in answers} == {200}
        exchanges.end.clear()
        last = ask(http, "4", "5", "6")
        await begun(exchanges, 6 + AT_ONCE)
        assert exchanges.begun[6:] == ["4", "5"], "each turn was ended once"
        exchanges.end.set()
        await asyncio.gather(*last)


@pytest.mark.parametrize("path", ["/mcp", "/register", "/healthz", "/authorize"])
async def test_other_requests_pass_a_full_queue(path: str) -> None:
    exchanges = Exchanges()
    async with serving(exchanges) as http:
        tasks = ask(http, "1", "2", "3", "4", "5")
        await begun(exchanges, AT_ONCE)
        other = asyncio.create_task(http.get(f"{path}?other"))
        await begun(exchanges, AT_ONCE + 1)
        assert exchanges.begun[-1] == "other"
        exchanges.end.set()
        await asyncio.gather(other, *tasks)


async def test_exchange_that_fails_or_is_broken_off_gives_its_turn_to_the_next() -> None:
    exchanges = Exchanges()
    exchanges.fails = True
    async with serving(exchanges) as http:
        one, two, three, four = ask(http, "1", "2", "3", "4")
        await begun(exchanges, AT_ONCE)
        one.cancel()
        three.cancel()
        await begun(exchanges, AT_ONCE + 1)
        assert exchanges.begun == ["1", "2", "4"]
        exchanges.end.set()
        assert [(await task).status_code for task in (two, four)] == [500, 500]
        exchanges.fails = False
        assert (await http.post("/token?5")).status_code == 200
