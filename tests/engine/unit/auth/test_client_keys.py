"""The public keys of clients: which one is meant, when they are fetched, and how long they serve."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastmcp.server.auth.ssrf import SSRFError, SSRFFetchError

from entra_mcp.auth.clients import keys as client_keys
from entra_mcp.auth.clients.fetches import TooManyLookupsError
from entra_mcp.auth.clients.keys import (
    AWAY_SECONDS,
    FRESH_SECONDS,
    MAX_ADDRESSES,
    MAX_KEYS,
    MAX_MEMBER,
    STALE_SECONDS,
    UNKNOWN_KEY_SECONDS,
    ClientKeys,
    chosen,
    public_keys,
)
from tests.support.clock import Clock

AT = "https://client.example/keys.json"
A, B = {"kty": "RSA", "kid": "a"}, {"kty": "RSA", "kid": "b"}


def signed_with(kid: str) -> dict[str, Any]:
    """The header of an assertion."""
    return {"alg": "RS256", "kid": kid}


class Site:
    """Where a key set is."""

    def __init__(self) -> None:
        self.body = json.dumps({"keys": [A]}).encode()
        self.failure: Exception | None = None
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def fetch(self, _address: str, **_: object) -> bytes:
        self.asked += 1
        self.was_asked.set()
        await self.goes_on.wait()
        if self.failure is not None:
            raise self.failure
        return self.body


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site()
    monkeypatch.setattr(client_keys, "ssrf_safe_fetch", site.fetch)
    return site


@pytest.mark.parametrize(
    ("keys", "header", "found"),
    [
        ([A, B], {"alg": "RS256", "kid": "b"}, B),
        ([A, B], {"alg": "RS256", "kid": "c"}, None),
        ([A, B], {"alg": "RS256"}, None),
        ([A], {"alg": "RS256"}, A),
        ([{"kty": "RSA"}], {"alg": "PS256", "kid": "a"}, {"kty": "RSA"}),
        ([A, {"kty": "EC"}], {"alg": "ES256"}, {"kty": "EC"}),
        ([A, {"kty": "EC", "kid": "a"}], {"alg": "ES256", "kid": "a"}, {"kty": "EC", "kid": "a"}),
        ([{"kty": "OKP"}], {"alg": "EdDSA"}, {"kty": "OKP"}),
        ([{"kty": "OKP"}], {"alg": "Ed25519"}, {"kty": "OKP"}),
        ([A], {"alg": "ES256", "kid": "a"}, None),
        ([A], {"alg": ["RS256"], "kid": "a"}, None),
        ([A], {}, None),
    ],
)
def test_key_is_the_one_of_its_type_that_the_header_names(
    keys: list[dict[str, str]], header: dict[str, Any], found: dict[str, str] | None
) -> None:
    assert chosen(keys, header) == found


@pytest.mark.parametrize("key_set", [None, [], {}, {"keys": None}, {"keys": {"a": 1}}])
def test_what_is_no_key_set_is_refused(key_set: object) -> None:
    with pytest.raises(ValueError, match="no key set"):
        public_keys(key_set)


def test_what_is_no_key_is_passed_over() -> None:
    assert public_keys({"keys": ["x", None, 1, [A]]}) == []


def test_public_members_of_a_bounded_length_are_taken() -> None:
    private = A | {"n": "x" * MAX_MEMBER, "e": "AQAB", "d": "secret", "p": "secret"}
    long, strange = A | {"n": "x" * (MAX_MEMBER + 1)}, A | {"e": 65537}
    found = public_keys({"keys": ["x", private, long, strange, {"kid": "a"}]})
    assert found == [A | {"n": "x" * MAX_MEMBER, "e": "AQAB"}]
    assert len(public_keys({"keys": [A] * 1000})) == MAX_KEYS


async def test_keys_are_fetched_again_when_they_are_old_or_lack_the_one_that_is_asked_for(site: Site) -> None:
    clock = Clock()
    keys = ClientKeys(clock=clock)
    for _ in range(3):
        assert await keys.get(AT, signed_with("a")) == A
    assert site.asked == 1
    site.body = json.dumps({"keys": [B]}).encode()
    assert await keys.get(AT, signed_with("b")) is None, "not yet: anybody can name a key that is not there"
    clock.advance(UNKNOWN_KEY_SECONDS)
    assert await keys.get(AT, signed_with("b")) == B
    clock.advance(FRESH_SECONDS)
    assert await keys.get(AT, signed_with("b")) == B
    assert site.asked == 3


async def test_keys_are_fetched_once_for_all_who_ask_at_once(site: Site) -> None:
    keys = ClientKeys()
    site.goes_on.clear()
    asking = [asyncio.create_task(keys.get(AT, signed_with("a"))) for _ in range(10)]
    await site.was_asked.wait()
    site.goes_on.set()
    assert await asyncio.gather(*asking) == [A] * 10
    assert site.asked == 1


@pytest.mark.parametrize(
    "failure",
    [SSRFFetchError("HTTP 503 fetching it"), SSRFError("DNS resolution failed"), TimeoutError(), None],
    ids=repr,
)
async def test_keys_serve_for_a_day_while_their_site_gives_none(site: Site, failure: Exception | None) -> None:
    clock = Clock()
    keys = ClientKeys(clock=clock)
    await keys.get(AT, signed_with("a"))
    site.failure, site.body = failure, b"<p>Back soon.</p>"
    clock.advance(STALE_SECONDS - 1)
    asked = site.asked
    for _ in range(3):
        assert await keys.get(AT, signed_with("a")) == A
        with pytest.raises(type(failure) if failure else ValueError):
            await keys.get(AT, signed_with("b"))
    assert site.asked == asked + 1, "an address that is away is asked again after a while"
    clock.advance(1)
    with pytest.raises(type(failure) if failure else ValueError):
        await keys.get(AT, signed_with("a"))


@pytest.mark.parametrize("status", [404, 410])
async def test_keys_that_were_taken_away_count_no_more(site: Site, status: int) -> None:
    clock = Clock()
    keys = ClientKeys(clock=clock)
    await keys.get(AT, signed_with("a"))
    site.failure = SSRFFetchError(f"HTTP {status} fetching it")
    clock.advance(FRESH_SECONDS)
    for _ in range(2):
        with pytest.raises(SSRFFetchError):
            await keys.get(AT, signed_with("a"))


async def test_empty_set_takes_keys_away_too(site: Site) -> None:
    clock = Clock()
    keys = ClientKeys(clock=clock)
    await keys.get(AT, signed_with("a"))
    site.body = b'{"keys": []}'
    clock.advance(FRESH_SECONDS)
    assert await keys.get(AT, signed_with("a")) is None


async def test_address_that_gave_no_keys_is_asked_again_after_some_seconds(site: Site) -> None:
    clock = Clock()
    keys = ClientKeys(clock=clock)
    site.failure = SSRFFetchError("HTTP 503 fetching it")
    for _ in range(3):
        with pytest.raises(SSRFFetchError):
            await keys.get(AT, signed_with("a"))
    assert site.asked == 1
    site.failure = None
    clock.advance(AWAY_SECONDS)
    assert await keys.get(AT, signed_with("a")) == A


async def test_limit_of_whoever_asks_is_no_news_of_the_address(site: Site) -> None:
    clock = Clock()
    keys = ClientKeys(clock=clock)
    await keys.get(AT, signed_with("a"))
    site.failure, site.body = TooManyLookupsError("too many"), json.dumps({"keys": [B]}).encode()
    clock.advance(FRESH_SECONDS)
    assert await keys.get(AT, signed_with("a")) == A
    with pytest.raises(TooManyLookupsError):
        await keys.get(AT, signed_with("b"))
    site.failure = None
    assert await keys.get(AT, signed_with("b")) == B


async def test_fetch_that_nobody_waited_for_is_no_news_of_the_address(site: Site) -> None:
    keys = ClientKeys()
    site.goes_on.clear()
    left = asyncio.create_task(keys.get(AT, signed_with("a")))
    await site.was_asked.wait()
    left.cancel()
    site.goes_on.set()
    assert await keys.get(AT, signed_with("a")) == A


async def test_so_many_sites_are_kept(site: Site) -> None:
    keys = ClientKeys()
    for number in range(MAX_ADDRESSES):
        await keys.get(f"{AT}?{number}", signed_with("a"))
    await keys.get(f"{AT}?0", signed_with("a"))
    assert site.asked == MAX_ADDRESSES
    await keys.get(f"{AT}?new", signed_with("a"))
    await keys.get(f"{AT}?0", signed_with("a"))
    assert site.asked == MAX_ADDRESSES + 1, "what is in use stays"
    await keys.get(f"{AT}?1", signed_with("a"))
    assert site.asked == MAX_ADDRESSES + 2


async def test_addresses_that_never_gave_keys_push_nobody_out(site: Site) -> None:
    keys = ClientKeys()
    await keys.get(AT, signed_with("a"))
    site.failure = SSRFFetchError("HTTP 503 fetching it")
    for number in range(MAX_ADDRESSES + 1):
        with pytest.raises(SSRFFetchError):
            await keys.get(f"{AT}?{number}", signed_with("a"))
    assert await keys.get(AT, signed_with("a")) == A
