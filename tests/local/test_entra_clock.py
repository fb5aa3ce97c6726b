"""What happens as time goes by: the stand-in's apps in this process, with a clock that the test turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import jwt
import pytest

from local.config import CLIENT_ID, TENANT_ID
from local.directory import Directory
from local.entra.app import build
from local.entra.registration import Registration
from local.entra.state import REFRESH_TOKEN_IDLE, State
from local.entra.token_endpoint import CODE_LIFETIME
from tests.support.clock import Clock
from tests.support.standins import REDIRECT_URI

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY = 24 * 3600
SCOPE = f"api://{CLIENT_ID}/access_as_user offline_access"


@dataclass(kw_only=True)
class World:
    clock: Clock
    state: State
    http: httpx2.AsyncClient

    async def sign_in(self) -> str:
        query = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": SCOPE}
        url = f"/{TENANT_ID}/oauth2/v2.0/authorize?{urlencode(query)}"
        answer = await self.http.post(url, data={"account": "user"})
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    async def token(self, **form: str) -> dict[str, Any]:
        credentials = {"client_id": CLIENT_ID, "client_secret": "a secret", "scope": SCOPE}
        return (await self.http.post(f"/{TENANT_ID}/oauth2/v2.0/token", data={**credentials, **form})).json()

    async def redeem(self, code: str) -> dict[str, Any]:
        return await self.token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI)

    async def refresh(self, token: str) -> dict[str, Any]:
        return await self.token(grant_type="refresh_token", refresh_token=token)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    # In the past, so that tokens are valid by the real clock, which their verification uses.
    clock, state = Clock(now=1_700_000_000.0), State(tmp_path / "state" / "entra.sqlite3")
    state.add_secret("a secret")
    apps = build(
        authority="127.0.0.1:7443",
        registration=Registration(
            client_id=CLIENT_ID,
            tenant_id=TENANT_ID,
            identifier_uri=f"api://{CLIENT_ID}",
            redirect_uris=(REDIRECT_URI,),
        ),
        directory=Directory(),
        state=state,
        clock=clock,
    )
    transport = httpx2.ASGITransport(app=apps.secure)
    async with httpx2.AsyncClient(transport=transport, base_url="https://127.0.0.1:7443") as http:
        yield World(clock=clock, state=state, http=http)
    state.close()


@pytest.mark.parametrize(("age", "codes"), [(CODE_LIFETIME - 1, None), (CODE_LIFETIME, [70008]), (DAY, [70008])])
async def test_code_expires_after_ten_minutes(world: World, age: int, codes: list[int] | None) -> None:
    code = await world.sign_in()
    world.clock.advance(age)
    assert (await world.redeem(code)).get("error_codes") == codes


async def test_redeemed_code_stays_redeemed_when_it_is_old(world: World) -> None:
    code = await world.sign_in()
    await world.redeem(code)
    world.clock.advance(CODE_LIFETIME)
    assert (await world.redeem(code))["error_codes"] == [54005]


@pytest.mark.parametrize(("idle", "codes"), [(REFRESH_TOKEN_IDLE - 1, None), (REFRESH_TOKEN_IDLE, [700082])])
async def test_idle_refresh_token_expires_after_ninety_days(world: World, idle: int, codes: list[int] | None) -> None:
    token = (await world.redeem(await world.sign_in()))["refresh_token"]
    world.clock.advance(idle)
    assert (await world.refresh(token)).get("error_codes") == codes


async def test_used_refresh_token_lives_on(world: World) -> None:
    token = (await world.redeem(await world.sign_in()))["refresh_token"]
    for _ in range(3):
        world.clock.advance(REFRESH_TOKEN_IDLE - DAY)
        assert "access_token" in await world.refresh(token)


async def test_revocation_names_both_dates(world: World) -> None:
    token = (await world.redeem(await world.sign_in()))["refresh_token"]
    world.clock.advance(60)
    await world.http.post("/_local/accounts/user/revoke")
    refused = await world.refresh(token)
    assert refused["error_codes"] == [50173]
    assert "issued on '2023-11-14T22:13:20.000Z'" in refused["error_description"]
    assert "this user is '2023-11-14T22:14:20.000Z'" in refused["error_description"]


async def test_client_secret_expires(world: World) -> None:
    await world.http.post("/_local/secrets", json={"value": "short-lived", "expires_in": 60})
    form = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
    assert "access_token" in await world.token(**form, client_secret="short-lived")
    world.clock.advance(60)
    assert (await world.token(**form, client_secret="short-lived"))["error_codes"] == [7000222]


async def test_purge_forgets_only_what_is_long_dead(world: World) -> None:
    code = await world.sign_in()
    tokens = await world.redeem(await world.sign_in())
    world.state.purge(now=world.clock.now + CODE_LIFETIME)
    assert "access_token" in await world.redeem(code)
    world.clock.advance(DAY + 1)
    world.state.purge(now=world.clock.now)
    assert (await world.redeem(code))["error_codes"] == [9002313]
    assert "access_token" in await world.refresh(tokens["refresh_token"])
    world.clock.advance(2 * REFRESH_TOKEN_IDLE + 1)
    world.state.purge(now=world.clock.now)
    assert (await world.refresh(tokens["refresh_token"]))["error_codes"] == [9002313]


async def test_access_token_lifetimes_are_spread(world: World) -> None:
    code = await world.sign_in()
    token = (await world.redeem(code))["refresh_token"]
    lifetimes = {(await world.refresh(token))["expires_in"] for _ in range(10)}
    assert len(lifetimes) > 1
    assert all(3600 <= lifetime <= 5400 for lifetime in lifetimes)


async def test_times_of_a_token_are_those_of_the_clock(world: World) -> None:
    token = (await world.redeem(await world.sign_in()))["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iat"] == claims["nbf"] == world.clock.now
