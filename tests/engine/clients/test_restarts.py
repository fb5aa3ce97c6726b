"""A login goes on after every process was killed and started again, between any two of its steps."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


async def login(http: httpx2.AsyncClient) -> AsyncGenerator[str]:
    """Takes one step at a time, from the challenge to calls with renewed tokens; yields what was done."""
    client = OAuthClient(http=http)
    assert (await client.call(None, "whoami")).status_code == 401
    yield "challenge"
    assert (await client.register()).status_code == 201
    yield "registration"
    authorized = await client.authorize()
    yield "authorization request"
    consent_page = await http.get(authorized.headers["location"])
    assert "Test client" in consent_page.text
    yield "consent page"
    entra_url = (await client.consent(consent_page)).headers["location"]
    yield "consent"
    sign_in_page = await client.entra_page(entra_url)
    yield "Entra's sign-in page"
    parameters = await client.entra_choice(entra_url, sign_in_page)
    yield "choice of the account"
    back = await client.entra_return(parameters)
    yield "return from Entra"
    tokens = (await client.redeem(client.answer(back)["code"])).json()
    yield "tokens"
    assert structured(await client.call(tokens["access_token"], "whoami"))["username"]
    yield "call"
    renewed = (await client.refresh(tokens["refresh_token"])).json()
    yield "refresh"
    assert structured(await client.call(renewed["access_token"], "graph_me"))["username"]
    yield "call on the caller's behalf"


async def advance(login: AsyncGenerator[str], steps: int) -> str:
    """Takes so many steps of the login; returns the last one's name."""
    done = ""
    for _ in range(steps):
        done = await anext(login)
    return done


# Two times 60 s are what the processes may take to start on a machine that is busy with other tests.
@pytest.mark.long
@pytest.mark.timeout(240)
async def test_login_survives_a_restart_of_everything_between_any_two_steps(tmp_path: Path, certificates: Path) -> None:
    """There is one login for each place between two steps: one restart of everything meets them all at their own.

    After one more step comes a second restart, for what outlives one and not two.
    """
    with Stack(tmp_path, certificates=certificates) as stack:
        async with AsyncExitStack() as clients:

            async def begin() -> AsyncGenerator[str]:
                return login(await clients.enter_async_context(httpx2.AsyncClient(base_url=stack.url, timeout=60)))

            steps = [step async for step in await begin()]
            assert len(steps) == len(set(steps)) == 12
            logins = [await begin() for _ in steps[1:]]
            reached = await asyncio.gather(*(advance(each, number) for number, each in enumerate(logins, start=1)))
            assert reached == steps[:-1]
            await asyncio.to_thread(stack.restart)
            assert await asyncio.gather(*(advance(each, 1) for each in logins)) == steps[1:]
            await asyncio.to_thread(stack.restart)
            rest = await asyncio.gather(*(_rest(each) for each in logins))
            assert rest == [steps[number + 1 :] for number in range(1, len(steps))]


async def _rest(login: AsyncGenerator[str]) -> list[str]:
    return [step async for step in login]
