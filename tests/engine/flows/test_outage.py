"""For a dependency that is away there is a 503 with Retry-After, within five seconds, and signs nobody out."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
from azure.data.tables import TableServiceClient

from entra_mcp.auth.entra import public_keys, verifier
from entra_mcp.auth.entra.public_keys import SigningKeysError
from entra_mcp.patience import Patience
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.storage.rows import Address
from entra_mcp.vault import keys, rotation
from tests.engine.flows.conftest import over, proxied, started
from tests.support.app.server import running_app
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.mcp import SESSIONLESS, structured, tool_call
from tests.support.oauth import OAuthClient
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import httpx2

    from tests.support.standins import StandIns

    Environment = Callable[..., None]

WITHIN_SECONDS = 5.0
ALWAYS = 1_000_000


async def adds(client: OAuthClient, token: str) -> bool:
    return structured(await client.call(token, "add", {"a": 1, "b": 1})) == {"result": 2}


async def unavailable(request: Awaitable[httpx2.Response]) -> httpx2.Response:
    """The answer to the request, which has to be a 503 in time; what this machine does besides does not count."""
    async with Patience(WITHIN_SECONDS):
        response = await request
    assert response.status_code == 503, response.text
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in response.headers
    return response


@pytest.mark.parametrize("fault", [503, 429, Fault.RESET, Fault.HANG], ids=str)
async def test_storage_that_is_away_signs_nobody_out(
    environment: Environment, azurite: str, fault: Fault | int
) -> None:
    async with proxied(environment, azurite) as (proxy, client):
        tokens = await client.sign_in()
        proxy.break_next(fault, times=ALWAYS)
        await asyncio.gather(
            unavailable(client.call(tokens["access_token"], "add", {"a": 1, "b": 1})),
            unavailable(client.refresh(tokens["refresh_token"])),
            unavailable(client.redeem("some code")),
            unavailable(client.authorize()),
            unavailable(OAuthClient(http=client.http).register()),
            unavailable(client.http.post("/revoke", data={"client_id": client.client_id, "token": "x"})),
        )
        for path in ("/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp", "/"):
            assert (await client.http.get(path)).status_code == 200
        assert (await client.call("not.a.token", "add")).status_code == 401
        proxy.fault = None
        assert await adds(client, tokens["access_token"])
        assert (await client.refresh(tokens["refresh_token"])).status_code == 200


async def test_storage_whose_name_does_not_resolve_is_an_outage(environment: Environment) -> None:
    nowhere = "AccountName=a;AccountKey=a2V5;TableEndpoint=http://storage.nowhere.invalid/a"
    environment(AzureWebJobsStorage=nowhere, MCP_CREATE_TABLE="false")
    async with running_app() as app, over(app) as http:
        client = OAuthClient(http=http, client_id="x")
        for request in (client.authorize(), client.refresh("x"), client.redeem("x"), OAuthClient(http=http).register()):
            await unavailable(request)
        assert (await http.get("/.well-known/oauth-authorization-server")).status_code == 200


async def test_consent_and_callback_during_an_outage_are_503_and_go_on_afterwards(
    environment: Environment, azurite: str
) -> None:
    async with proxied(environment, azurite) as (proxy, client):
        await client.register()
        page = await client.consent_page()
        proxy.break_next(503, times=ALWAYS)
        await unavailable(client.http.get(str(page.url)))
        await unavailable(client.consent(page))
        proxy.fault = None
        upstream = (await client.consent(page)).headers["location"]
        parameters = await client.entra_choice(upstream, await client.entra_page(upstream))
        proxy.break_next(503, times=ALWAYS)
        await unavailable(client.entra_return(parameters))
        proxy.fault = None
        answer = client.answer(await client.entra_return(parameters))
        assert (await client.redeem(answer["code"])).status_code == 200


async def at_the_callback(client: OAuthClient) -> dict[str, str]:
    """Signs in at Entra ID; returns the parameters of its answer, which is not yet brought back."""
    await client.register()
    upstream = (await client.consent(await client.consent_page())).headers["location"]
    return await client.entra_choice(upstream, await client.entra_page(upstream))


@pytest.mark.parametrize("fault", [503, 429])
async def test_sign_in_survives_a_short_outage_after_the_code_of_entra_was_redeemed(
    environment: Environment, azurite: str, fault: int
) -> None:
    async with proxied(environment, azurite) as (proxy, client):
        parameters = await at_the_callback(client)
        proxy.break_next(fault, times=5, method="PUT")
        answer = client.answer(await client.entra_return(parameters))
        assert proxy.faults == 5
        assert (await client.redeem(answer["code"])).status_code == 200


async def test_sign_in_that_came_back_from_entra_does_not_come_back_again(
    environment: Environment, azurite: str
) -> None:
    """Although its transaction stays until it expires."""
    async with proxied(environment, azurite) as (_, client):
        parameters = await at_the_callback(client)
        answer = client.answer(await client.entra_return(parameters))
        assert (await client.entra_return(parameters)).status_code == 403
        assert (await client.redeem(answer["code"])).status_code == 200


async def test_sign_in_that_an_outage_broke_off_is_told_and_begins_anew(environment: Environment, azurite: str) -> None:
    async with proxied(environment, azurite) as (proxy, client):
        parameters = await at_the_callback(client)
        proxy.break_next(503, times=ALWAYS, method="PUT")
        browser = {"accept": "text/html"}
        page = await unavailable(client.http.get("/auth/callback", params=parameters, headers=browser))
        assert "If that does not finish the sign-in" in page.text
        proxy.fault = None
        answer = client.answer(await client.entra_return(parameters))
        assert (answer["error"], answer["state"]) == ("access_denied", client.state)
        assert "Sign in again" in answer["error_description"]
        assert await adds(client, (await client.sign_in())["access_token"])


@pytest.mark.parametrize("content", [b"", b"\x02 of no key at all, and long enough to have a head and a tag", None])
async def test_one_unreadable_row_ends_one_sign_in_and_nobody_elses(
    environment: Environment, azurite: str, content: bytes | None
) -> None:
    async with proxied(environment, azurite, MCP_UPSTREAM_TOKEN_CACHE_SECONDS="0") as (_, client):
        one, other = OAuthClient(http=client.http), OAuthClient(http=client.http)
        tokens = [await one.sign_in(), await other.sign_in()]
        assert await adds(one, tokens[0]["access_token"])
        with TableServiceClient.from_connection_string(azurite) as service:
            table: Any = service.get_table_client(os.environ["MCP_TABLE_NAME"])
            prefix = Address.of(UPSTREAM_TOKENS, "").partition.partition(".")[0]
            rows = [row for row in table.list_entities() if row["PartitionKey"].startswith(prefix)]
            first = min(rows, key=lambda row: row["C"].value)
            first["V0"] = first["V0"][:-1] + b"x" if content is None else content
            table.update_entity(first, mode="replace")
        assert (await one.call(tokens[0]["access_token"], "add", {"a": 1, "b": 1})).status_code == 401
        assert (await one.refresh(tokens[0]["refresh_token"])).json()["error"] == "invalid_grant"
        assert await adds(other, tokens[1]["access_token"])


async def test_storage_that_fails_in_the_middle_of_a_call_is_503_and_tells_no_reason(
    environment: Environment, azurite: str
) -> None:
    settings = {"MCP_UPSTREAM_TOKEN_CACHE_SECONDS": "60", "MCP_VISIBILITY_RULES": "true"}
    async with proxied(environment, azurite, **settings) as (proxy, client):
        token = (await client.sign_in())["access_token"]
        arguments = {"a": 1, "b": 1}
        for _ in range(2):
            assert await adds(client, token)
        proxy.break_next(503, times=ALWAYS)
        assert await adds(client, token), "a call that needs nothing of storage"
        sessionless = tool_call("add", arguments, token=token, protocol=SESSIONLESS)
        response = await client.http.post("/mcp", **sessionless)
        assert response.status_code == 503
        assert "HttpResponseError" not in response.text
        kept = await client.call(token, "recall", {})
        assert "HttpResponseError" not in kept.text


async def test_entra_that_is_away_keeps_those_in_who_are_signed_in(
    environment: Environment, own_standins: StandIns
) -> None:
    async with started(environment, **own_standins.environment()) as client:
        tokens = await client.sign_in()
        await asyncio.to_thread(own_standins.entra.kill)
        assert await adds(client, tokens["access_token"])
        await unavailable(client.refresh(tokens["refresh_token"]))
        await asyncio.to_thread(own_standins.entra.start)
        renewed = await client.refresh(tokens["refresh_token"])
        assert renewed.status_code == 200, renewed.text
        assert await adds(client, renewed.json()["access_token"])


async def test_keys_of_entra_that_a_cold_instance_cannot_get_are_503_until_it_can(
    environment: Environment, own_standins: StandIns
) -> None:
    environment(**own_standins.environment())
    async with running_app() as app, over(app) as http:
        tokens = await OAuthClient(http=http).sign_in()
    async with running_app() as app, over(app) as http:
        cold = OAuthClient(http=http)
        await asyncio.to_thread(own_standins.entra.kill)
        for _ in range(2):
            await unavailable(cold.call(tokens["access_token"], "add", {"a": 1, "b": 1}))
        await asyncio.to_thread(own_standins.entra.start)
        assert await adds(cold, tokens["access_token"])


async def test_sign_in_goes_on_once_the_keys_of_entra_can_be_fetched(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cold instance needs them to verify what it gets for Entra ID's code, which is good once."""
    fetched, away = verifier.fetched, [SigningKeysError("away")]

    async def once_away(http: httpx2.AsyncClient, address: str) -> Mapping[str, Any]:
        if away:
            raise away.pop()
        return await fetched(http, address)

    monkeypatch.setattr(verifier, "fetched", once_away)
    async with started(environment) as client:
        parameters = await at_the_callback(client)
        assert (await client.entra_return(parameters)).status_code == 503
        answer = client.answer(await client.entra_return(parameters))
        tokens = (await client.redeem(answer["code"])).json()
        assert await adds(client, tokens["access_token"])


async def test_sign_in_goes_on_once_entra_answers_again(
    client: OAuthClient, entra: Callable[..., Awaitable[Any]]
) -> None:
    parameters = await at_the_callback(client)
    fault = {"code": 90033, "status": 503, "error": "temporarily_unavailable", "grant_type": "authorization_code"}
    await entra("POST", "/faults", fault)
    await unavailable(client.entra_return(parameters))
    answer = client.answer(await client.entra_return(parameters))
    assert (await client.redeem(answer["code"])).status_code == 200


async def test_vault_that_is_away_changes_nothing_for_a_running_instance(
    environment: Environment, own_standins: StandIns, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 0.1)
    monkeypatch.setattr(rotation, "REREAD_SECONDS", 0.1)
    async with started(environment, **own_standins.environment()) as client:
        tokens = await client.sign_in()
        await asyncio.to_thread(own_standins.vault.kill)
        assert await adds(client, tokens["access_token"])
        tokens = (await client.refresh(tokens["refresh_token"])).json()
        async with asyncio.timeout(60):
            while "go on being used" not in caplog.text:  # noqa: ASYNC110 - only the log shows it
                await asyncio.sleep(0.05)
        assert await adds(client, tokens["access_token"])


async def test_key_that_an_instance_cannot_look_for_is_503_and_signs_nobody_out(
    environment: Environment, own_standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "REREAD_SECONDS", 0.1)
    monkeypatch.setattr(rotation, "FOLLOW_SECONDS", 3600.0)
    monkeypatch.setattr(keys, "ACTIVATION_SECONDS", 0.0)
    environment(**own_standins.environment())
    async with running_app() as old, over(old) as http:
        async with vault_client(own_standins) as vault:
            await vault.set_secret("jwt-signing-key", base64.b64encode(os.urandom(32)).decode())
        async with running_app() as new, over(new) as new_http:
            newer = OAuthClient(http=new_http)
            tokens = await newer.sign_in()
        await asyncio.to_thread(own_standins.vault.kill)
        earlier = OAuthClient(http=http, client_id=newer.client_id)
        await unavailable(earlier.call(tokens["access_token"], "add", {"a": 1, "b": 1}))
        await unavailable(earlier.refresh(tokens["refresh_token"]))
        await asyncio.to_thread(own_standins.vault.start)
        await asyncio.sleep(0.2)
        assert await adds(earlier, tokens["access_token"])


OUTAGE_SECONDS = 65.0
"""More than a minute: longer than an instance remembers what an access token stands for."""


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("dependency", ["storage", "entra", "vault"])
async def test_outage_in_the_middle_of_steady_calls_gives_503_alone_and_ends(
    environment: Environment, azurite: str, own_standins: StandIns, dependency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((rotation, "FOLLOW_SECONDS"), (rotation, "REREAD_SECONDS"), (public_keys, "FRESH_SECONDS")):
        monkeypatch.setattr(module, name, 0.2)
    monkeypatch.setattr(public_keys, "UNKNOWN_KEY_SECONDS", 0.2)
    async with proxied(environment, azurite, **own_standins.environment()) as (proxy, client):
        tokens = await client.sign_in()
        seen: list[int] = []

        async def call() -> None:
            while True:
                response = await client.call(tokens["access_token"], "add", {"a": 1, "b": 1})
                seen.append(response.status_code)
                await asyncio.sleep(0.05)

        calling = asyncio.create_task(call())
        await asyncio.sleep(0.5)
        assert set(seen) == {200}
        await break_off(dependency, proxy, own_standins)
        await asyncio.sleep(OUTAGE_SECONDS)
        await mend(dependency, proxy, own_standins)
        during = set(seen)
        await asyncio.sleep(0.5)
        seen.clear()
        await asyncio.sleep(0.5)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert during == ({200, 503} if dependency == "storage" else {200})
        assert set(seen) == {200}
        assert (await client.refresh(tokens["refresh_token"])).status_code == 200


async def break_off(dependency: str, proxy: FaultProxy, standins: StandIns) -> None:
    match dependency:
        case "storage":
            proxy.break_next(503, times=ALWAYS)
        case "entra":
            await asyncio.to_thread(standins.entra.kill)
        case _:
            await asyncio.to_thread(standins.vault.kill)


async def mend(dependency: str, proxy: FaultProxy, standins: StandIns) -> None:
    match dependency:
        case "storage":
            proxy.fault = None
        case "entra":
            await asyncio.to_thread(standins.entra.start)
        case _:
            await asyncio.to_thread(standins.vault.start)


REFRESH = "refresh_token"
SIGN_IN_AGAIN = [50076, 50079, 53003, 65001, 700082, 70008, 50173]
"""A second factor, its set-up, conditional access, consent, a token that is inactive, expired, revoked."""


@pytest.mark.parametrize("code", SIGN_IN_AGAIN)
async def test_refresh_that_only_the_person_can_mend_is_invalid_grant(
    client: OAuthClient, entra: Callable[..., Awaitable[Any]], code: int
) -> None:
    tokens = await client.sign_in()
    await entra("POST", "/faults", {"code": code, "grant_type": REFRESH})
    refused = await client.refresh(tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert "AADSTS" not in refused.text


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"code": 90033, "status": 503, "error": "temporarily_unavailable"}, 5),
        ({"code": 90099, "status": 500, "error": "server_error"}, 5),
        ({"code": 90055, "status": 429, "error": "temporarily_unavailable", "retry_after": 42}, 42),
        ({"code": 7000215}, 5),
        ({"code": 7000222}, 5),
        ({"code": 700016}, 5),
        ({"code": 500011}, 5),
    ],
    ids=["90033", "90099", "90055", "7000215", "7000222", "700016", "500011"],
)
async def test_refresh_that_the_person_cannot_mend_is_503_and_works_later(
    client: OAuthClient,
    entra: Callable[..., Awaitable[Any]],
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    seconds: int,
) -> None:
    tokens = await client.sign_in()
    await entra("POST", "/faults", {**fault, "grant_type": REFRESH, "times": 2})
    response = await unavailable(client.refresh(tokens["refresh_token"]))
    assert response.headers["retry-after"] == str(seconds)
    assert "AADSTS" not in response.text
    if "status" not in fault:
        assert f"AADSTS{fault['code']}" in caplog.text
    await entra("DELETE", "/faults")
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200
