"""`python -m ops rotate` as an operator runs it, while people sign in, refresh and call tools: nobody notices."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt
import pytest

from entra_mcp.vault import keys, rotation
from local.config import REPOSITORY
from tests.engine.flows.conftest import over
from tests.support.app.server import running_app
from tests.support.azure.azd import SIGNED_IN, program
from tests.support.azure.joined import JoinedCloud
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from pathlib import Path

    import httpx2
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tests.support.standins import StandIns

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SECONDS = 90.0
"""For one run of the command."""

NEVER = 3600.0


@pytest.fixture
def cloud(certificates: Path, own_standins: StandIns) -> Iterator[JoinedCloud]:
    with JoinedCloud(certificates, standins=own_standins) as cloud:
        yield cloud


@pytest.fixture
def rotate(cloud: JoinedCloud, tmp_path: Path) -> Callable[[str], Awaitable[str]]:
    """Runs the command in a process of its own, as whoever is signed in to azd."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program(programs, "azd", SIGNED_IN)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    async def run(what: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ops", "rotate", what),
            cwd=REPOSITORY,
            env={**os.environ, **cloud.environment(), "PATH": path},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    return run


@asynccontextmanager
async def two_instances() -> AsyncGenerator[ASGIApp]:
    """Each request goes to the other instance than the one before it."""
    async with running_app() as one, running_app() as other:
        turns = itertools.cycle((one, other))

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await next(turns)(scope, receive, send)

        yield app


@dataclass
class Load:
    """People who do what people do, one after the other, until they have to stop; the first failure ends it."""

    app: ASGIApp
    done: Counter[str] = field(default_factory=Counter[str])
    key_ids: list[str] = field(default_factory=list[str])
    """Of the keys that signed, as refreshed tokens name them."""
    stopped: bool = False

    async def calls(self, http: httpx2.AsyncClient) -> None:
        client = OAuthClient(http=http)
        token = (await client.sign_in())["access_token"]
        while not self.stopped:
            assert structured(await client.call(token, "add", {"a": 1, "b": 1})) == {"result": 2}
            self.done["call"] += 1
            await asyncio.sleep(0.05)

    async def refreshes(self, http: httpx2.AsyncClient) -> None:
        """Each with a call on behalf of the person, for which the server needs its client secret too."""
        client = OAuthClient(http=http)
        tokens = await client.sign_in()
        while not self.stopped:
            renewed = await client.refresh(tokens["refresh_token"])
            assert renewed.status_code == 200, renewed.text
            tokens = renewed.json()
            self.key_ids.append(jwt.get_unverified_header(tokens["access_token"])["kid"])
            assert structured(await client.call(tokens["access_token"], "graph_me"))["username"]
            self.done["refresh"] += 1
            await asyncio.sleep(0.05)

    async def logins(self, http: httpx2.AsyncClient) -> None:
        while not self.stopped:
            client = OAuthClient(http=http)
            token = (await client.sign_in())["access_token"]
            assert structured(await client.call(token, "add", {"a": 1, "b": 1})) == {"result": 2}
            self.done["login"] += 1

    async def person(self, habit: Callable[[httpx2.AsyncClient], Awaitable[None]]) -> None:
        """Everybody has a browser of their own."""
        async with over(self.app) as http:
            await habit(http)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not reached():  # noqa: ASYNC110 - the load itself is what is waited for
                await asyncio.sleep(0.05)

    async def more(self) -> None:
        """Waits until everybody did each thing a few times more."""
        before = self.done.copy()
        await self.until(lambda: all(self.done[kind] >= before[kind] + 3 for kind in ("call", "refresh", "login")))


@asynccontextmanager
async def under_load() -> AsyncGenerator[Load]:
    """Steady load on two instances; leaving fails if any request did."""
    async with two_instances() as app:
        load = Load(app=app)
        async with asyncio.TaskGroup() as people:
            for habit in (load.calls, load.refreshes, load.logins):
                people.create_task(load.person(habit))
            await load.more()
            yield load
            load.stopped = True


async def test_signing_key_is_rotated_by_the_command_without_a_failed_request(
    environment: Callable[..., None],
    own_standins: StandIns,
    rotate: Callable[[str], Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rotation, "REREAD_SECONDS", 0.2)
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 0.5)
    monkeypatch.setattr(keys, "ACTIVATION_SECONDS", 2.0)
    environment(**own_standins.environment())
    async with under_load() as load:
        before = load.done.copy()
        first = load.key_ids[-1]
        await rotate("signing-key")
        assert all(load.done[kind] > before[kind] for kind in ("call", "refresh", "login")), "load went on meanwhile"
        await load.until(lambda: load.key_ids[-1] != first)
        await load.more()
    assert len(set(load.key_ids)) == 2


@pytest.mark.parametrize("followed", [0.5, NEVER])
async def test_client_secret_is_rotated_twice_by_the_command_without_a_failed_request(
    environment: Callable[..., None],
    own_standins: StandIns,
    rotate: Callable[[str], Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
    followed: float,
) -> None:
    """The second run removes the secret that the servers began with, whether or not they have looked at the vault."""
    monkeypatch.setattr(rotation, "REREAD_SECONDS", 0.2)
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", followed)
    environment(**own_standins.environment())
    (first,) = own_standins.control("GET", "/secrets")
    async with under_load() as load:
        for _ in range(2):
            before = load.done.copy()
            said = await rotate("client-secret")
            assert "Entra ID does not know the new client secret everywhere yet" in said
            assert all(load.done[kind] > before[kind] for kind in ("call", "refresh", "login")), (
                "load went on meanwhile"
            )
            await load.more()
    known = own_standins.control("GET", "/secrets")
    assert len(known) == 2
    assert first["id"] not in {secret["id"] for secret in known}
