"""The key sets of clients: when they are fetched, and how long they serve."""

from __future__ import annotations

import json

import pytest
from fastmcp.server.auth.ssrf import SSRFFetchError

from entra_mcp.auth import client_keys
from entra_mcp.auth.client_keys import FRESH_SECONDS, MOST_ADDRESSES, STALE_SECONDS, UNKNOWN_KEY_SECONDS, ClientKeys
from tests.support.clock import Clock

AT = "https://client.example/keys.json"


class Site:
    """Where key sets are, with one key each."""

    def __init__(self) -> None:
        self.key = "a"
        self.away = False
        self.asked = 0

    async def fetch(self, address: str, **_: object) -> bytes:
        self.asked += 1
        if self.away:
            raise SSRFFetchError(f"HTTP 503 fetching {address}")
        return json.dumps({"keys": [{"kid": self.key}]}).encode()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site()
    monkeypatch.setattr(client_keys, "ssrf_safe_fetch", site.fetch)
    return site


async def test_keys_are_fetched_again_when_they_are_old_or_lack_the_one_that_is_asked_for(site: Site) -> None:
    clock = Clock()
    keys = ClientKeys(seconds=3, clock=clock)
    for _ in range(3):
        await keys.get(AT, key_id="a")
    assert site.asked == 1
    site.key = "b"
    await keys.get(AT, key_id="b")
    assert site.asked == 1, "not yet: anybody can name a key that is not there"
    clock.advance(UNKNOWN_KEY_SECONDS)
    assert await keys.get(AT, key_id="b") == {"keys": [{"kid": "b"}]}
    clock.advance(FRESH_SECONDS)
    await keys.get(AT, key_id="b")
    assert site.asked == 3


async def test_keys_serve_for_a_day_while_their_site_is_away(site: Site) -> None:
    clock = Clock()
    keys = ClientKeys(seconds=3, clock=clock)
    await keys.get(AT, key_id="a")
    site.away = True
    clock.advance(STALE_SECONDS - 1)
    await keys.get(AT, key_id="a")
    with pytest.raises(SSRFFetchError):
        await keys.get(AT, key_id="b")
    clock.advance(1)
    with pytest.raises(SSRFFetchError):
        await keys.get(AT, key_id="a")


async def test_so_many_sites_are_kept(site: Site) -> None:
    keys = ClientKeys(seconds=3)
    for number in range(MOST_ADDRESSES + 1):
        await keys.get(f"{AT}?{number}", key_id="a")
    await keys.get(f"{AT}?{MOST_ADDRESSES}", key_id="a")
    assert site.asked == MOST_ADDRESSES + 1
    await keys.get(f"{AT}?0", key_id="a")
    assert site.asked == MOST_ADDRESSES + 2
