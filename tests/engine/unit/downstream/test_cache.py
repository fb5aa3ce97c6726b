"""Tokens for other APIs: kept for their life, acquired once for all who wait, bounded in number."""

from __future__ import annotations

import asyncio

import pytest

from entra_mcp.downstream.cache import MARGIN_SECONDS, Token, TokenCache, TokenKey
from tests.support.clock import Clock

KEY = TokenKey("alice", ("User.Read",))


class Entra:
    """Issues `token 1`, `token 2` and so on, each good for an hour, once it is let."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.issued = 0
        self.let = asyncio.Event()
        self.let.set()
        self.error: Exception | None = None

    async def acquire(self) -> Token:
        await self.let.wait()
        if self.error is not None:
            raise self.error
        self.issued += 1
        return Token(f"token {self.issued}", self.end())

    def end(self) -> float:
        return self._clock() + 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entra(clock: Clock) -> Entra:
    return Entra(clock)


@pytest.fixture
def cache(clock: Clock) -> TokenCache:
    return TokenCache(max_tokens=3, clock=clock)


async def test_token_is_acquired_once_for_its_life(cache: TokenCache, entra: Entra, clock: Clock) -> None:
    assert await cache.get(KEY, entra.acquire) == "token 1"
    clock.advance(3600 - MARGIN_SECONDS - 1)
    assert await cache.get(KEY, entra.acquire) == "token 1"
    clock.advance(1)
    assert await cache.get(KEY, entra.acquire) == "token 2"
    assert (cache.counts.hits, cache.counts.exchanges) == (1, 2)


@pytest.mark.parametrize("other", [TokenKey("bob", ("User.Read",)), TokenKey("alice", ("Mail.Read",))])
async def test_token_is_for_one_sign_in_and_its_scopes_alone(cache: TokenCache, entra: Entra, other: TokenKey) -> None:
    assert await cache.get(KEY, entra.acquire) == "token 1"
    assert await cache.get(other, entra.acquire) == "token 2"


async def test_callers_at_once_share_one_acquisition(cache: TokenCache, entra: Entra) -> None:
    entra.let.clear()
    callers = [asyncio.create_task(cache.get(KEY, entra.acquire)) for _ in range(50)]
    await asyncio.sleep(0)
    entra.let.set()
    assert set(await asyncio.gather(*callers)) == {"token 1"}
    assert entra.issued == 1


async def test_token_with_claims_is_not_the_one_that_is_acquired_without_them(cache: TokenCache, entra: Entra) -> None:
    """An API that demands claims would refuse the other one again."""
    entra.let.clear()
    claims = ("", "{}", "{}")
    callers = [asyncio.create_task(cache.get(KEY, entra.acquire, claims=each)) for each in claims]
    await asyncio.sleep(0)
    entra.let.set()
    without, *with_claims = await asyncio.gather(*callers)
    assert with_claims[0] == with_claims[1] != without
    assert entra.issued == 2


async def test_token_with_claims_stays_whatever_comes_without_them_later(cache: TokenCache, entra: Entra) -> None:
    entra.let.clear()
    without = asyncio.create_task(cache.get(KEY, entra.acquire))
    await asyncio.sleep(0)

    async def at_once() -> Token:
        return Token("with claims", entra.end())

    assert await cache.get(KEY, at_once, claims="{}") == "with claims"
    entra.let.set()
    assert await without == "token 1"
    assert await cache.get(KEY, entra.acquire) == "with claims"


async def test_callers_at_once_share_one_failure_and_the_next_tries_again(cache: TokenCache, entra: Entra) -> None:
    entra.error = ValueError("no")
    outcomes = await asyncio.gather(*(cache.get(KEY, entra.acquire) for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 5
    assert cache.counts.exchanges == 1
    entra.error = None
    assert await cache.get(KEY, entra.acquire) == "token 1"


async def test_caller_who_goes_away_leaves_the_acquisition_to_the_others(cache: TokenCache, entra: Entra) -> None:
    entra.let.clear()
    first = asyncio.create_task(cache.get(KEY, entra.acquire))
    second = asyncio.create_task(cache.get(KEY, entra.acquire))
    await asyncio.sleep(0)
    first.cancel()
    entra.let.set()
    assert await second == "token 1"
    assert first.cancelled()


async def test_failure_that_nobody_waits_for_is_not_an_error_of_the_loop(
    cache: TokenCache, entra: Entra, caplog: pytest.LogCaptureFixture
) -> None:
    entra.let.clear()
    entra.error = ValueError("no")
    caller = asyncio.create_task(cache.get(KEY, entra.acquire))
    await asyncio.sleep(0)
    caller.cancel()
    entra.let.set()
    await asyncio.sleep(0.01)
    assert caller.cancelled()
    assert not caplog.records


async def test_token_that_was_not_used_for_longest_goes_first(cache: TokenCache, entra: Entra) -> None:
    keys = [TokenKey(person, ()) for person in ("alice", "bob", "carol", "dave")]
    for key in keys[:3]:
        await cache.get(key, entra.acquire)
    await cache.get(keys[0], entra.acquire)
    await cache.get(keys[3], entra.acquire)
    assert len(cache) == 3
    assert [await cache.get(key, entra.acquire) for key in (keys[0], keys[2], keys[3])] == [
        "token 1",
        "token 3",
        "token 4",
    ]
    assert await cache.get(keys[1], entra.acquire) == "token 5"


async def test_refused_token_is_dropped_unless_it_was_replaced(cache: TokenCache, entra: Entra) -> None:
    await cache.get(KEY, entra.acquire)
    cache.drop(KEY, "token 0")
    assert await cache.get(KEY, entra.acquire) == "token 1"
    cache.drop(KEY, "token 1")
    cache.drop(KEY, "token 1")
    assert await cache.get(KEY, entra.acquire) == "token 2"


async def test_acquisitions_end_with_the_server(cache: TokenCache, entra: Entra) -> None:
    entra.let.clear()
    caller = asyncio.create_task(cache.get(KEY, entra.acquire))
    await asyncio.sleep(0)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert len(cache) == 0


def test_token_does_not_show_its_value() -> None:
    assert "secret" not in repr(Token("secret", 0))
