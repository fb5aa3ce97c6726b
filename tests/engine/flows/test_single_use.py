"""Codes and refresh tokens are good for one use, and a failure in the middle does not waste it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entra_mcp.auth import single_use
from entra_mcp.storage.ledger import Ledger
from entra_mcp.web import answers, exchange_queue, time_limits
from tests.engine.flows.conftest import over, proxied, started
from tests.support.app.server import running_app
from tests.support.fault_proxy import Fault, fault_proxy
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import httpx2

    from entra_mcp.storage.ledger import Lease
    from tests.support.fault_proxy import FaultProxy

    Environment = Callable[..., None]


@pytest.fixture(autouse=True)
def no_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests count storage requests, to which an exchange on a slow machine would add."""
    monkeypatch.setattr(single_use, "RENEW_SECONDS", 60.0)


async def works(client: OAuthClient, tokens: dict[str, Any]) -> bool:
    response = await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})
    if response.status_code == 401:
        return False
    assert structured(response) == {"result": 2}
    return True


async def test_code_redeemed_by_many_at_once_is_redeemed_once(client: OAuthClient) -> None:
    code = await client.code()
    responses = await asyncio.gather(*(client.redeem(code) for _ in range(20)))
    assert sorted(response.status_code for response in responses) == [200] + [400] * 19
    (tokens,) = (response.json() for response in responses if response.status_code == 200)
    assert {response.json()["error"] for response in responses if response.status_code == 400} == {"invalid_grant"}
    assert await works(client, tokens)


async def test_code_replayed_later_revokes_what_its_first_use_got(
    client: OAuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_use, "DUPLICATE_SECONDS", 0.0)
    code = await client.code()
    tokens = (await client.redeem(code)).json()
    assert await works(client, tokens)
    replayed = await client.redeem(code)
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_grant")
    assert not await works(client, tokens)
    refused = await client.refresh(tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:1/other"}, "invalid_grant"),
        ({"client_id": "somebody-else"}, "invalid_client"),
    ],
    ids=["verifier", "redirect", "client"],
)
async def test_code_presented_wrongly_stays_good_for_its_owner(
    client: OAuthClient, changes: dict[str, str], error: str
) -> None:
    code = await client.code()
    refused = await client.redeem(code, **changes)
    assert refused.status_code in {400, 401}
    assert refused.json()["error"] == error
    assert (await client.redeem(code)).status_code == 200


async def test_code_presented_by_another_client_stays_good_for_its_owner(client: OAuthClient) -> None:
    """A registered one, with everything that belongs to the code."""
    code = await client.code()
    thief = OAuthClient(http=client.http, verifier=client.verifier)
    await thief.register()
    refused = await thief.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await client.redeem(code)).status_code == 200


REFUSED_BY_ENTRA = "Entra ID refused a authorization_code"


async def consented(client: OAuthClient) -> tuple[httpx2.Response, dict[str, str]]:
    """The consent page, on which Allow was pressed, and an answer of Entra ID that somebody made up."""
    await client.register()
    page = await client.consent_page()
    upstream = (await client.consent(page)).headers["location"]
    return page, {"code": "made up", "state": parse_qs(urlsplit(upstream).query)["state"][0]}


async def test_consent_is_good_for_one_code_that_entra_refuses_on_every_instance(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    environment()
    async with running_app() as one, running_app() as other, over(one) as here, over(other) as there:
        client = OAuthClient(http=here)
        page, made_up = await consented(client)
        answer = client.answer(await client.entra_return(made_up))
        assert (answer["error"], answer["state"]) == ("access_denied", client.state)
        there.cookies.update(here.cookies)
        for http in (here, there):
            again = OAuthClient(http=http)
            for refused in (await again.entra_return(made_up), await again.consent(page)):
                assert (refused.status_code, "location" in refused.headers) == (400, False)
    assert caplog.text.count(REFUSED_BY_ENTRA) == 1


async def test_made_up_codes_that_come_at_once_reach_entra_only_as_far_as_they_have_begun(
    client: OAuthClient, caplog: pytest.LogCaptureFixture
) -> None:
    _, made_up = await consented(client)
    answers = await asyncio.gather(*(client.entra_return(made_up) for _ in range(3 * exchange_queue.MAX_CONCURRENT)))
    assert {answer.status_code for answer in answers} == {302, 400}
    assert 1 <= caplog.text.count(REFUSED_BY_ENTRA) <= exchange_queue.MAX_CONCURRENT


async def test_browser_that_keeps_the_cookie_of_a_sign_in_brings_it_back_once(
    client: OAuthClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.register()
    upstream = (await client.consent(await client.consent_page())).headers["location"]
    sent = await client.entra_choice(upstream, await client.entra_page(upstream))
    cookies = dict(client.http.cookies)
    code = client.answer(await client.entra_return(sent))["code"]
    client.http.cookies.update(cookies)
    assert client.answer(await client.entra_return(sent))["error"] == "access_denied"
    assert (await client.entra_return(sent)).status_code == 400
    assert caplog.text.count(REFUSED_BY_ENTRA) == 1
    assert await works(client, (await client.redeem(code)).json())


async def test_settlement_that_others_have_read_stands_though_its_own_answer_never_comes(
    environment: Environment, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instances are asked at once; the one that exchanges never hears that storage has written its use down."""
    async with fault_proxy(azurite) as (proxy, through):
        environment(AzureWebJobsStorage=through, MCP_REFRESH_GRACE_SECONDS="0")
        async with running_app() as deaf, over(deaf) as deaf_http:
            monkeypatch.setenv("AzureWebJobsStorage", azurite)
            async with running_app() as other, over(other) as http:
                client = OAuthClient(http=http)
                token = (await client.sign_in())["refresh_token"]
                twin = OAuthClient(http=deaf_http, client_id=client.client_id)
                proxy.break_next(Fault.NO_RESPONSE)
                proxy.skip = SETTLING_A_REFRESH
                exchanging = asyncio.create_task(twin.refresh(token))
                async with asyncio.timeout(60):
                    while not proxy.faults:  # noqa: ASYNC110 - the proxy has no event for it
                        await asyncio.sleep(0.01)
                read = await client.refresh(token)
                answers = [read, await exchanging, await client.refresh(token)]
                assert [answer.status_code for answer in answers] == [200] * 3
                assert len({answer.json()["refresh_token"] for answer in answers}) == 1
                assert await works(client, read.json())


@pytest.mark.parametrize("latency", [0.3, 0.42, 0.5])
async def test_refresh_over_slow_storage_signs_nobody_out(
    environment: Environment, azurite: str, latency: float
) -> None:
    """Whatever the first try was answered, the next one, after the grace window, goes on with the same sign-in."""
    async with proxied(environment, azurite, MCP_REFRESH_GRACE_SECONDS="0") as (proxy, client):
        first = await client.sign_in()
        proxy.latency = latency
        told = await client.refresh(first["refresh_token"])
        assert told.status_code in {200, 503}
        proxy.latency = 0.0
        again = await patiently(partial(client.refresh, first["refresh_token"]))
        if told.status_code == 200:
            assert again["refresh_token"] == told.json()["refresh_token"]
        assert await works(client, again)


async def test_settlement_of_a_code_has_the_time_that_the_exchange_left_it(
    environment: Environment, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage takes longer for it than a settlement has by itself; what was written could not be redeemed again."""
    settle = Ledger.settle

    async with proxied(environment, azurite) as (proxy, client):

        async def slowly(ledger: Ledger, lease: Lease, outcome: Mapping[str, Any]) -> bool:
            proxy.latency = single_use.SETTLE_SECONDS + 0.3
            return await settle(ledger, lease, outcome)

        code = await client.code()
        monkeypatch.setattr(Ledger, "settle", slowly)
        redeemed = await client.redeem(code)
        proxy.latency = 0.0
        assert redeemed.status_code == 200, redeemed.text
        assert await works(client, redeemed.json())


async def test_refresh_with_another_scope_is_refused_and_costs_nothing(client: OAuthClient) -> None:
    first = await client.sign_in()
    refused = await client.refresh(first["refresh_token"], scope="Mail.Send")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert (await client.refresh(first["refresh_token"])).status_code == 200


async def test_refresh_lifetime_is_that_of_the_sign_in(environment: Environment) -> None:
    async with started(environment, MCP_REFRESH_TOKEN_DAYS="1") as client:
        first = await client.sign_in()
        await asyncio.sleep(1.1)
        second = (await client.refresh(first["refresh_token"])).json()
        assert expiry(second) <= expiry(first)
        assert expiry(first) - expiry(second) < 3


def expiry(tokens: dict[str, Any]) -> int:
    import jwt

    return jwt.decode(tokens["refresh_token"], options={"verify_signature": False})["exp"]


LOGIN_REQUESTS = 5
REFRESH_REQUESTS = 5
SETTLING_A_LOGIN, SETTLING_A_REFRESH = LOGIN_REQUESTS - 1, REFRESH_REQUESTS - 1
"""The settlement comes last, after three reads, the claim and four writes; a refresh reads one more."""


@pytest.mark.parametrize("fault", [503, *(pytest.param(fault, marks=pytest.mark.long) for fault in Fault)], ids=str)
async def test_exchange_survives_any_storage_request_that_fails_for_a_while(
    environment: Environment, azurite: str, fault: Fault | int
) -> None:
    """Each request in turn fails as often as it is repeated; the client then does as the answer says, and tries again.

    That is after the grace window, which is none.
    """
    # A code that was used stays used, even if nobody got the answer: see below.
    times = 1 if fault is Fault.NO_RESPONSE else 4
    async with proxied(environment, azurite, MCP_REFRESH_GRACE_SECONDS="0") as (proxy, client):
        tokens = await client.sign_in()
        for number in range(LOGIN_REQUESTS):
            code = await client.code()
            tokens = await exchange_with_a_fault(proxy, fault, number, partial(client.redeem, code), times=times)
            assert await works(client, tokens)
        for number in range(REFRESH_REQUESTS):
            refresh = partial(client.refresh, tokens["refresh_token"])
            tokens = await exchange_with_a_fault(proxy, fault, number, refresh)
            assert await works(client, tokens)


@pytest.mark.parametrize(
    "places", [range(3, 5), pytest.param(range(REFRESH_REQUESTS + 1), marks=pytest.mark.long)], ids=str
)
async def test_exchange_goes_on_elsewhere_after_an_instance_died_between_any_two_storage_requests(
    environment: Environment, azurite: str, monkeypatch: pytest.MonkeyPatch, places: range
) -> None:
    """Storage never hears again of the instance that died, so that it gives nothing back and tidies nothing up."""
    monkeypatch.setattr(single_use, "LEASE_SECONDS", 1.0)
    async with fault_proxy(azurite) as (proxy, through):
        environment(AzureWebJobsStorage=through)
        async with running_app() as doomed, over(doomed) as doomed_http:
            # The same table, and another way to it.
            monkeypatch.setenv("AzureWebJobsStorage", azurite)
            async with running_app() as survivor, over(survivor) as http:
                for place in places:
                    client = OAuthClient(http=http)
                    code = await client.code()
                    dying = OAuthClient(http=doomed_http, client_id=client.client_id, verifier=client.verifier)
                    done = await die(proxy, place, partial(dying.redeem, code))
                    assert (done is not None) == (place >= LOGIN_REQUESTS)
                    tokens = done or await patiently(partial(client.redeem, code))
                    assert await works(client, tokens)
                    await die(proxy, place, partial(dying.refresh, tokens["refresh_token"]))
                    tokens = await patiently(partial(client.refresh, tokens["refresh_token"]))
                    assert await works(client, tokens)


async def die(proxy: FaultProxy, place: int, send: Callable[[], Awaitable[httpx2.Response]]) -> dict[str, Any] | None:
    """Lets so many storage requests of an instance pass and none after them; returns what it answered nevertheless."""
    proxy.break_next(Fault.RESET, times=1_000_000)
    proxy.skip = place
    response = await send()
    proxy.fault = None
    assert response.status_code in {200, 503}, response.text
    return response.json() if response.status_code == 200 else None


async def patiently(send: Callable[[], Awaitable[httpx2.Response]]) -> dict[str, Any]:
    """What the request gets in the end, from somebody who tries again when the answer says so."""
    response = await send()
    for _ in range(4):
        if response.status_code == 503:
            response = await send()
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("settling", "times"),
    [
        (Fault.HANG, 1),
        (Fault.NO_RESPONSE, 1),
        (Fault.LOSE_RESPONSE, 1),
        pytest.param(Fault.HANG, 12, marks=pytest.mark.long),
        pytest.param(503, 12, marks=pytest.mark.long),
    ],
    ids=str,
)
async def test_settlement_whose_answer_does_not_come_strands_nobody(
    environment: Environment, azurite: str, settling: Fault | int, times: int
) -> None:
    async with proxied(environment, azurite, MCP_REFRESH_GRACE_SECONDS="0") as (proxy, client):
        code = await client.code()
        redeem = partial(client.redeem, code)
        tokens = await exchange_with_a_fault(proxy, settling, SETTLING_A_LOGIN, redeem, times=times)
        assert await works(client, tokens)
        refresh = partial(client.refresh, tokens["refresh_token"])
        tokens = await exchange_with_a_fault(proxy, settling, SETTLING_A_REFRESH, refresh, times=times)
        assert await works(client, tokens)


async def test_code_whose_use_was_written_down_and_cannot_be_read_takes_a_new_sign_in(
    environment: Environment, azurite: str
) -> None:
    """It was used; what its first use got, nobody has."""
    async with proxied(environment, azurite) as (proxy, client):
        code = await client.code()
        proxy.break_next(Fault.NO_RESPONSE, times=1_000_000)
        proxy.skip = SETTLING_A_LOGIN
        assert (await client.redeem(code)).status_code == 503
        proxy.fault = None
        refused = await client.redeem(code)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert await works(client, await client.sign_in())


async def test_storage_that_hangs_in_the_middle_of_an_exchange_is_503(environment: Environment, azurite: str) -> None:
    async with proxied(environment, azurite) as (proxy, client):
        code = await client.code()
        proxy.break_next(Fault.HANG, times=1000)
        proxy.skip = 3
        proxy.latency = 0.3
        assert (await client.redeem(code)).status_code == 503
        proxy.fault, proxy.latency = None, 0.0
        response = await client.redeem(code)
        while response.status_code == 503:
            response = await client.redeem(code)
        assert response.status_code == 200


def test_client_that_does_what_503_says_comes_back_before_a_repetition_counts_as_a_theft() -> None:
    assert single_use.DUPLICATE_SECONDS > answers.RETRY_SECONDS + time_limits.SILENCE_SECONDS
    assert single_use.LEASE_SECONDS > single_use.EXCHANGE_SECONDS + single_use.SETTLE_SECONDS
    assert time_limits.SILENCE_SECONDS + single_use.SETTLE_SECONDS + single_use.RELEASE_SECONDS <= 5


async def exchange_with_a_fault(
    proxy: FaultProxy,
    fault: Fault | int,
    number: int,
    send: Callable[[], Awaitable[httpx2.Response]],
    *,
    times: int = 4,
) -> dict[str, Any]:
    """Lets so many requests pass, breaks the next ones, and repeats the exchange until it succeeds."""
    proxy.break_next(fault, times=times)
    proxy.skip = number
    response = await send()
    proxy.fault = None
    for _ in range(3):
        if response.status_code == 200:
            break
        assert response.status_code == 503, response.text
        assert int(response.headers["retry-after"]) > 0
        response = await send()
    assert response.status_code == 200, response.text
    return response.json()
