"""Exchanges of a stranger beside those of people who are signed in."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from entra_mcp.auth.entra import upstream
from entra_mcp.auth.entra.upstream import EntraOAuthClient
from entra_mcp.request import asking_network
from entra_mcp.web import time_limits
from entra_mcp.web.exchange_queue import MAX_CONCURRENT, MAX_WAITING
from tests.engine.flows.web.conftest import browser, from_address
from tests.support.oauth import OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2
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
    monkeypatch.setattr(upstream, "TIMEOUT_SECONDS", 120)
    send = EntraOAuthClient._send  # pyright: ignore[reportPrivateUsage] - what takes the time of an exchange
    sent, answers, all_turns_taken = Counter[str](), asyncio.Semaphore(0), asyncio.Event()

    async def held(entra: EntraOAuthClient, url: str, form: Mapping[str, str]) -> httpx2.Response:
        sent[asking_network()] += 1
        if asking_network() == STRANGER:
            if sent[STRANGER] == MAX_CONCURRENT:
                all_turns_taken.set()
            await answers.acquire()
        return await send(entra, url, form)

    monkeypatch.setattr(EntraOAuthClient, "_send", held)
    tokens = await client.sign_in()
    async with in_own_task(browser(app)) as http:
        http.headers.update(from_address(STRANGER))
        stranger = OAuthClient(http=http)
        await stranger.register()
        at_entra = (await stranger.consent(await stranger.consent_page())).headers["location"]
        back = {"code": "made-up", "state": parse_qs(urlsplit(at_entra).query)["state"][0]}
        many = [asyncio.create_task(stranger.entra_return(back)) for _ in range(MAX_CONCURRENT + MAX_WAITING + MORE)]
        await asyncio.wait(many[-MORE:])
        await all_turns_taken.wait()
        refreshing = asyncio.create_task(client.refresh(tokens["refresh_token"]))
        await settled()
        # One for the next of the stranger, one for the person.
        answers.release()
        answers.release()
        refreshed = await refreshing
        assert refreshed.status_code == 200, refreshed.text
        assert sum(task.done() for task in many) <= MORE + 3, "one lost its place to the person, two were answered"
        for task in many:
            task.cancel()
        await asyncio.wait(many)
        await settled()
        begun = sent[STRANGER]
        for _ in many:
            answers.release()
        assert (await client.refresh(refreshed.json()["refresh_token"])).status_code == 200
        assert sent[STRANGER] == begun <= MAX_CONCURRENT + 2


async def settled() -> None:
    """Long enough for whatever waits for nothing."""
    for _ in range(50):
        await asyncio.sleep(0)
