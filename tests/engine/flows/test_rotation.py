"""Secrets that change in the vault while the server runs: nobody notices."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING

import jwt
import pytest

from entra_mcp.vault import keys, rotation
from tests.engine.flows.conftest import over, started
from tests.support.app.server import running_app
from tests.support.mcp import structured
from tests.support.oauth import OAuthClient
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.standins import StandIns

    Environment = Callable[..., None]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes takes moments."""
    monkeypatch.setattr(rotation, "REREAD_SECONDS", 0.2)
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 0.5)
    monkeypatch.setattr(keys, "ACTIVATION_SECONDS", 2.0)


async def rotate_signing_key(standins: StandIns) -> None:
    async with vault_client(standins) as vault:
        await vault.set_secret("jwt-signing-key", base64.b64encode(os.urandom(32)).decode())


async def replace_client_secret(standins: StandIns) -> None:
    """Creates another one, puts it into the vault, and takes the old one from the application."""
    (old,) = standins.control("GET", "/secrets")
    value = standins.control("POST", "/secrets", {})["value"]
    async with vault_client(standins) as vault:
        await vault.set_secret("entra-client-secret", value)
    standins.control("DELETE", f"/secrets/{old['id']}")


def key_id(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


async def test_signing_key_is_rotated_under_load_without_a_failed_request(
    environment: Environment, own_standins: StandIns
) -> None:
    environment(**own_standins.environment())
    async with running_app() as one, over(one) as first, running_app() as other, over(other) as second:
        clients = [OAuthClient(http=first), OAuthClient(http=second)]
        tokens = await clients[0].sign_in()
        clients[1].client_id = clients[0].client_id
        before = key_id(tokens["access_token"])
        seen: list[int] = []

        async def call() -> None:
            while True:
                for client in clients:
                    response = await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})
                    seen.append(response.status_code)
                await asyncio.sleep(0.02)

        calling = asyncio.create_task(call())
        await rotate_signing_key(own_standins)
        async with asyncio.timeout(60):
            for number in range(100):
                renewed = await clients[number % 2].refresh(tokens["refresh_token"])
                assert renewed.status_code == 200, renewed.text
                tokens = renewed.json()
                if key_id(tokens["access_token"]) != before and number % 2:
                    break
                await asyncio.sleep(0.2)
        await OAuthClient(http=second).sign_in()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert key_id(tokens["access_token"]) != before
        assert set(seen) == {200}


@pytest.fixture
def unfollowed_vault(environment: Environment, own_standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """A vault whose new key signs at once, and of which a running instance learns only by need."""
    monkeypatch.setattr(keys, "ACTIVATION_SECONDS", 0.0)
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 3600.0)
    environment(**own_standins.environment())
    return own_standins


async def test_instance_that_read_the_vault_earlier_learns_the_key_at_its_first_use(unfollowed_vault: StandIns) -> None:
    async with running_app() as old, over(old) as http:
        earlier = OAuthClient(http=http)
        await asyncio.sleep(0.3)
        await rotate_signing_key(unfollowed_vault)
        async with running_app() as new, over(new) as new_http:
            tokens = await OAuthClient(http=new_http).sign_in()
        answer = structured(await earlier.call(tokens["access_token"], "add", {"a": 1, "b": 1}))
        assert answer == {"result": 2}


async def test_sign_in_goes_on_under_a_key_that_is_newer_than_its_consent_page(unfollowed_vault: StandIns) -> None:
    async with running_app() as old, over(old) as http:
        person = OAuthClient(http=http)
        await person.register()
        page = await person.consent_page()
        await rotate_signing_key(unfollowed_vault)
        async with running_app() as new, over(new) as new_http:
            new_http.cookies.update(http.cookies)
            person.http = new_http
            tokens = await person.redeem(await person.code(page))
    assert tokens.status_code == 200, tokens.text


@pytest.mark.parametrize("first", ["refresh", "graph"])
async def test_client_secret_that_was_replaced_is_read_again_at_once(
    environment: Environment, own_standins: StandIns, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 3600.0)
    async with started(environment, **own_standins.environment()) as client:
        tokens = await client.sign_in()
        await asyncio.sleep(0.3)
        await replace_client_secret(own_standins)
        if first == "graph":
            assert structured(await client.call(tokens["access_token"], "graph_me"))["username"]
        renewed = await client.refresh(tokens["refresh_token"])
        assert renewed.status_code == 200, renewed.text
        token = renewed.json()["access_token"]
        assert structured(await client.call(token, "graph_me"))["username"]
        await OAuthClient(http=client.http).sign_in()


async def test_client_secret_is_replaced_under_load_without_a_failed_request(
    environment: Environment, own_standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 3600.0)
    environment(**own_standins.environment())
    async with running_app() as app, over(app) as http:
        clients = [OAuthClient(http=http) for _ in range(4)]
        tokens = [await client.sign_in() for client in clients]
        await asyncio.sleep(0.3)
        await replace_client_secret(own_standins)
        renewed = await asyncio.gather(
            *(client.refresh(token["refresh_token"]) for client, token in zip(clients, tokens, strict=True))
        )
        assert [response.status_code for response in renewed] == [200] * len(clients)
