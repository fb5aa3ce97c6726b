"""Exchanges of a stranger beside those of people who are signed in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entra_mcp.auth.proxy_store import ProxyStore
from entra_mcp.request import REQUEST
from entra_mcp.storage.collections import TRANSACTIONS
from entra_mcp.web import time_limits
from entra_mcp.web.exchange_queue import MAX_CONCURRENT, MAX_WAITING
from tests.engine.flows.web.conftest import browser, from_address
from tests.support.oauth import OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from starlette.types import ASGIApp

pytestmark = pytest.mark.asyncio(loop_scope="package")

STRANGER = "203.0.113.7"
MORE = 5
"""How many exchanges the stranger has beyond those that begin or may wait."""


async def test_stranger_with_more_exchanges_than_may_wait_keeps_nobody_from_refreshing(
    app: ASGIApp, client: OAuthClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do those that the stranger does not stay for."""
    monkeypatch.setattr(time_limits, "SILENCE_SECONDS", 120)
    get = ProxyStore.get
    begun, going_on, all_turns_taken = set[str](), asyncio.Semaphore(0), asyncio.Event()

    async def held(store: ProxyStore, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """The first that each of the stranger's exchanges asks storage for is what takes its time."""
        request = REQUEST.get()
        if request and request.network == STRANGER and request.correlation_id not in begun:
            assert collection == TRANSACTIONS
            begun.add(request.correlation_id)
            if len(begun) == MAX_CONCURRENT:
                all_turns_taken.set()
            await going_on.acquire()
        return await get(store, key, collection=collection)

    tokens = await client.sign_in()
    async with in_own_task(browser(app)) as http:
        http.headers.update(from_address(STRANGER))
        stranger = OAuthClient(http=http)
        await stranger.register()
        at_entra = (await stranger.consent(await stranger.consent_page())).headers["location"]
        back = {"code": "made-up", "state": parse_qs(urlsplit(at_entra).query)["state"][0]}
        monkeypatch.setattr(ProxyStore, "get", held)
        many = [asyncio.create_task(stranger.entra_return(back)) for _ in range(MAX_CONCURRENT + MAX_WAITING + MORE)]
        await asyncio.wait(many[-MORE:])
        await all_turns_taken.wait()
        refreshing = asyncio.create_task(client.refresh(tokens["refresh_token"]))
        await settled()
        # One for the next of the stranger, one for the person.
        going_on.release()
        going_on.release()
        refreshed = await refreshing
        assert refreshed.status_code == 200, refreshed.text
        assert sum(task.done() for task in many) <= MORE + 3, "one lost its place to the person, two were answered"
        for task in many:
            task.cancel()
        await asyncio.wait(many)
        await settled()
        before = len(begun)
        for _ in many:
            going_on.release()
        assert (await client.refresh(refreshed.json()["refresh_token"])).status_code == 200
        assert len(begun) == before <= MAX_CONCURRENT + 2


async def settled() -> None:
    """Long enough for whatever waits for nothing."""
    for _ in range(50):
        await asyncio.sleep(0)
