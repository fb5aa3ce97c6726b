"""Two instances of the server, each in a worker process, that share one table: any of them serves any request."""

from __future__ import annotations

import asyncio
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, override

import httpx2
import pytest

from entra_mcp.web.exchange_queue import TOO_MANY
from tests.support.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.ports import free_ports
from tests.support.stack import FunctionsHost
from tests.support.throttle import throttled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from pathlib import Path

    from tests.support.standins import StandIns

BASE_URL = "http://localhost:7071"
"""What clients believe to talk to, as behind Azure's front end."""


class RoundRobin(httpx2.AsyncBaseTransport):
    """Sends each request to the next instance."""

    def __init__(self, *urls: str) -> None:
        self._next = itertools.cycle(urls)
        self._inner = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=200))

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        instance = httpx2.URL(next(self._next))
        request.url = request.url.copy_with(host=instance.host, port=instance.port)
        return await self._inner.handle_async_request(request)

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


class Patient(RoundRobin):
    """Comes again when too many wait, since nothing has begun then; nothing else is asked for twice."""

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        while True:
            response = await super().handle_async_request(request)
            if response.status_code != 503 or TOO_MANY not in (await response.aread()).decode():
                return response
            await asyncio.sleep(int(response.headers["retry-after"]))


class Instances:
    """Two hosts that take turns, and the way to their storage."""

    def __init__(self, hosts: list[FunctionsHost], proxy: FaultProxy) -> None:
        self.hosts = hosts
        self.proxy = proxy

    def browser(self, *, by: type[RoundRobin] = RoundRobin) -> httpx2.AsyncClient:
        """A client with cookies of its own."""
        return httpx2.AsyncClient(transport=by(*(host.url for host in self.hosts)), base_url=BASE_URL, timeout=60)


@asynccontextmanager
async def two_instances(tmp_path: Path, azurite: str, standins: StandIns) -> AsyncGenerator[Instances]:
    async with fault_proxy(azurite) as (proxy, connection_string):
        environment = {
            **standins.environment(),
            "MCP_BASE_URL": BASE_URL,
            "AzureWebJobsStorage": connection_string,
            "MCP_TABLE_NAME": f"Two{time.time_ns()}",
            "MCP_REGISTRATIONS_PER_MINUTE": "100000",
            "MCP_REGISTRATIONS_PER_MINUTE_OVERALL": "100000",
        }
        hosts = [FunctionsHost(port=port, log=tmp_path / f"{port}.log") for port in free_ports(2)]
        with ThreadPoolExecutor() as pool:
            try:
                starts = [asyncio.wrap_future(pool.submit(host.start, environment)) for host in hosts]
                await asyncio.gather(*starts)
                yield Instances(hosts, proxy)
            finally:
                await asyncio.gather(*(asyncio.wrap_future(pool.submit(host.kill)) for host in hosts))


async def answered(sent: Awaitable[httpx2.Response]) -> httpx2.Response:
    """The answer, which nobody has to ask for again."""
    response = await sent
    assert response.status_code < 500, response.text
    return response


async def sign_in(http: httpx2.AsyncClient) -> tuple[OAuthClient, dict[str, Any]]:
    """A login step by step, each of which succeeds the first time."""
    client = OAuthClient(http=http)
    assert (await answered(client.register())).status_code == 201
    authorized = await answered(client.authorize())
    page = await answered(http.get(authorized.headers["location"]))
    entra_url = (await answered(client.consent(page))).headers["location"]
    parameters = await client.entra_choice(entra_url, await client.entra_page(entra_url))
    back = await answered(client.entra_return(parameters))
    code = client.answer(back)["code"]
    tokens = await answered(client.redeem(code))
    assert tokens.status_code == 200, tokens.text
    return client, tokens.json()


async def refresh(client: OAuthClient, tokens: dict[str, Any]) -> dict[str, Any]:
    response = await answered(client.refresh(tokens["refresh_token"]))
    assert response.status_code == 200, response.text
    return response.json()


async def sign_in_and_refresh(browsers: list[httpx2.AsyncClient]) -> None:
    """Everybody at once, and every answer is a success."""
    people = len(browsers)
    try:
        signed_in = await asyncio.gather(*map(sign_in, browsers))
        assert len({tokens["refresh_token"] for _, tokens in signed_in}) == people
        renewed = await asyncio.gather(*(refresh(client, tokens) for client, tokens in signed_in))
        assert len({tokens["refresh_token"] for tokens in renewed}) == people
        for (client, _), tokens in zip(signed_in, renewed, strict=True):
            answer = await answered(client.call(tokens["access_token"], "add", {"a": 1, "b": 1}))
            assert structured(answer) == {"result": 2}
    finally:
        await asyncio.gather(*(http.aclose() for http in browsers))


@pytest.mark.long
@pytest.mark.parametrize("failing", [0.0, 0.02], ids=["storage works", "2 % of storage requests fail"])
@pytest.mark.timeout(240)
async def test_fifty_people_sign_in_and_refresh_at_once(
    tmp_path: Path, azurite: str, standins: StandIns, failing: float
) -> None:
    async with two_instances(tmp_path, azurite, standins) as instances:
        instances.proxy.failing = failing
        await sign_in_and_refresh([instances.browser() for _ in range(50)])


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_hundred_people_sign_in_and_refresh_at_once_on_a_quarter_of_a_processor(
    tmp_path: Path, azurite: str, standins: StandIns
) -> None:
    """Overload is not an outage: every dependency answers, and so does the server, if later.

    On a machine that does other things too the queue may be full. Who gets that answer comes again, and has lost
    nothing.
    """
    async with two_instances(tmp_path, azurite, standins) as instances:
        with throttled([worker for host in instances.hosts for worker in host.workers], part=0.25):
            await sign_in_and_refresh([instances.browser(by=Patient) for _ in range(100)])


@pytest.mark.timeout(240)
async def test_codes_and_refresh_tokens_are_used_once_whatever_happens(
    tmp_path: Path, azurite: str, standins: StandIns
) -> None:
    async with two_instances(tmp_path, azurite, standins) as instances, instances.browser() as http:
        client = OAuthClient(http=http)
        code = await client.code()
        redeemed = await asyncio.gather(*(client.redeem(code) for _ in range(50)))
        assert sorted(response.status_code for response in redeemed) == [200] + [400] * 49
        (tokens,) = (response.json() for response in redeemed if response.status_code == 200)

        refreshed = await asyncio.gather(*(client.refresh(tokens["refresh_token"]) for _ in range(50)))
        assert {response.status_code for response in refreshed} == {200}
        (successor,) = {response.json()["refresh_token"] for response in refreshed}
        assert structured(await client.call(refreshed[0].json()["access_token"], "add", {"a": 1, "b": 1})) == {
            "result": 2
        }

        await one_dies_in_the_middle(instances, client, successor)


async def one_dies_in_the_middle(instances: Instances, client: OAuthClient, refresh_token: str) -> None:
    """Kills an instance while it waits for storage with a claim in its hands; the other one takes the claim over."""
    doomed, survivor = instances.hosts
    async with (
        httpx2.AsyncClient(base_url=doomed.url, timeout=30) as to_doomed,
        httpx2.AsyncClient(base_url=survivor.url, timeout=30) as to_survivor,
    ):
        instances.proxy.break_next(Fault.HANG, method="PUT")
        lost = asyncio.create_task(OAuthClient(http=to_doomed, client_id=client.client_id).refresh(refresh_token))
        async with asyncio.timeout(60):
            while not instances.proxy.faults:  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(0.02)
        await asyncio.to_thread(doomed.kill)
        with pytest.raises(httpx2.TransportError):
            await lost
        again = OAuthClient(http=to_survivor, client_id=client.client_id)
        response = await answered(again.refresh(refresh_token))
        assert response.status_code == 200, response.text
        answer = await again.call(response.json()["access_token"], "add", {"a": 1, "b": 1})
        assert structured(answer) == {"result": 2}
