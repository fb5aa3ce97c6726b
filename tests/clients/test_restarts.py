"""A login goes on after every process was killed and started again, between any two of its steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2

from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path


async def test_login_survives_a_restart_of_everything_between_any_two_steps(tmp_path: Path, certificates: Path) -> None:
    stack = Stack(tmp_path, certificates=certificates)
    with stack:
        async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as http:
            client = OAuthClient(http=http)

            async def restart() -> None:
                await asyncio.to_thread(stack.restart)

            assert (await client.call(None, "whoami")).status_code == 401
            await restart()
            assert (await client.register()).status_code == 201
            await restart()
            authorized = await client.authorize()
            await restart()
            consent_page = await http.get(authorized.headers["location"])
            assert "Test client" in consent_page.text
            await restart()
            upstream = await client.consent(consent_page)
            await restart()
            back = await client.callback(upstream.headers["location"])
            await restart()
            tokens = (await client.redeem(client.answer(back)["code"])).json()
            await restart()
            assert structured(await client.call(tokens["access_token"], "whoami"))["username"]
            await restart()
            renewed = (await client.refresh(tokens["refresh_token"])).json()
            await restart()
            assert structured(await client.call(renewed["access_token"], "graph_me"))["username"]
