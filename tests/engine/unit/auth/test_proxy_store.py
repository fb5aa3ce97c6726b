"""What an exchange may read and write: what is stored now, and never a sign-in that somebody has ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, SupportsFloat

import pytest
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.base import BaseWrapper
from mcp.server.auth.provider import TokenError

from entra_mcp.auth.proxy_store import EXCHANGE, ProxyStore, TokenExchange
from entra_mcp.storage.cache import CachedStore
from entra_mcp.storage.collections import UPSTREAM_TOKENS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

SIGN_IN = {"access_token": "of Entra"}


class Memory(BaseWrapper):
    """A conditional store, which other instances write too."""

    def __init__(self) -> None:
        self.key_value = MemoryStore()

    async def put_if_present(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> bool:
        if await self.key_value.get(key, collection=collection) is None:
            return False
        await self.key_value.put(key, value, collection=collection, ttl=ttl)
        return True


@pytest.fixture
def shared() -> Memory:
    return Memory()


@pytest.fixture
def store(shared: Memory) -> ProxyStore:
    return ProxyStore(CachedStore(shared, seconds=60), registration_seconds=90 * 86400)


@contextmanager
def exchange(*, new_login: bool) -> Generator[TokenExchange]:
    running = TokenExchange(new_login=new_login)
    outer = EXCHANGE.set(running)
    try:
        yield running
    finally:
        EXCHANGE.reset(outer)


async def test_login_writes_a_token_set_and_a_refresh_writes_over_it(store: ProxyStore) -> None:
    for new_login in (True, False):
        with exchange(new_login=new_login) as running:
            await store.put("a", SIGN_IN, collection=UPSTREAM_TOKENS)
        assert running.token_set == "a"


async def test_sign_in_that_was_ended_is_not_written_back(store: ProxyStore, shared: Memory) -> None:
    with exchange(new_login=True):
        await store.put("a", SIGN_IN, collection=UPSTREAM_TOKENS)
    await shared.delete("a", collection=UPSTREAM_TOKENS)
    with exchange(new_login=False) as running, pytest.raises(TokenError):
        await store.put("a", SIGN_IN, collection=UPSTREAM_TOKENS)
    with pytest.raises(TokenError):  # outside of an exchange: FastMCP renews a token before a call
        await store.put("a", SIGN_IN, collection=UPSTREAM_TOKENS)
    assert running.token_set is None
    assert await shared.get("a", collection=UPSTREAM_TOKENS) is None


async def test_exchange_reads_what_is_stored_where_a_call_reads_what_is_remembered(
    store: ProxyStore, shared: Memory
) -> None:
    await shared.put("a", {"access_token": "old"}, collection=UPSTREAM_TOKENS)
    assert await store.get("a", collection=UPSTREAM_TOKENS) == {"access_token": "old"}
    await shared.put("a", {"access_token": "new"}, collection=UPSTREAM_TOKENS)
    assert await store.get("a", collection=UPSTREAM_TOKENS) == {"access_token": "old"}
    with exchange(new_login=False):
        assert await store.get("a", collection=UPSTREAM_TOKENS) == {"access_token": "new"}
