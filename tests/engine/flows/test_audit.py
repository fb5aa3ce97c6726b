"""The audit log: what happens to somebody's access is one line, which names who, through what and from where."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entra_mcp.audit import LOGGER
from entra_mcp.auth import single_use
from local.config import TENANT_ID
from tests.engine.flows.conftest import started
from tests.engine.flows.test_tenants import multi_tenant
from tests.support.mcp import structured
from tests.support.token_requests import claims_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import httpx2

    from tests.support.oauth import OAuthClient
    from tests.support.standins import StandIns

    Entra = Callable[..., Awaitable[Any]]

FIELDS = ["event", "user", "client_id", "address", "correlation_id"]


class Lines(logging.Handler):
    """Collects the lines of the audit log."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def take(self) -> list[dict[str, Any]]:
        """The lines since the last look."""
        taken = [json.loads(record.getMessage()) for record in self.records]
        self.records.clear()
        return taken

    def events(self) -> list[str]:
        return [line["event"] for line in self.take()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    logging.getLogger(LOGGER).addHandler(lines)
    yield lines
    logging.getLogger(LOGGER).removeHandler(lines)


async def object_id(client: OAuthClient, token: str) -> str:
    return structured(await client.call(token, "whoami"))["object_id"]


async def test_sign_in_and_refresh_are_one_line_each_that_names_person_and_client(
    client: OAuthClient, lines: Lines
) -> None:
    tokens = await client.sign_in()
    registration, sign_in = lines.take()
    user = await object_id(client, tokens["access_token"])
    assert lines.take() == [], "a call that succeeds is no matter of access"
    await client.refresh(tokens["refresh_token"])
    (refresh,) = lines.take()
    assert list(registration)[: len(FIELDS)] == list(sign_in) == list(refresh) == FIELDS
    assert (registration["event"], registration["user"]) == ("registration", None)
    assert (registration["client_name"], registration["redirect_hosts"]) == ("Test client", ["localhost:53682"])
    assert (sign_in["event"], sign_in["user"]) == ("sign_in", user)
    assert (refresh["event"], refresh["user"]) == ("refresh", user)
    assert {line["client_id"] for line in (registration, sign_in, refresh)} == {client.client_id}


async def test_line_names_the_address_that_the_platform_saw_and_the_answer_s_correlation_id(
    client: OAuthClient, lines: Lines
) -> None:
    client.http.headers |= {"x-ms-invocation-id": "1", "x-forwarded-for": "192.0.2.1, 203.0.113.7:4711"}
    registration = await client.register()
    refusal = await client.redeem("x")
    written = lines.take()
    assert [line["event"] for line in written] == ["registration", "refusal"]
    assert [line["address"] for line in written] == ["203.0.113.7"] * 2
    answers = [answer.headers["x-correlation-id"] for answer in (registration, refusal)]
    assert [line["correlation_id"] for line in written] == answers
    assert len(set(answers)) == 2


async def test_code_replayed_later_is_a_replay_and_a_revocation(
    client: OAuthClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_use, "DUPLICATE_SECONDS", 0.0)
    code = await client.code()
    user = await object_id(client, (await client.redeem(code)).json()["access_token"])
    lines.take()
    await client.redeem(code)
    replay, revocation = lines.take()
    assert (replay["event"], replay["what"], replay["answer"]) == ("replay", "authorization-code", "refused")
    assert (revocation["event"], revocation["because"]) == ("revocation", "an authorization code was used again")
    assert {(line["user"], line["client_id"]) for line in (replay, revocation)} == {(user, client.client_id)}
    await client.redeem(code)
    assert lines.events() == ["replay"], "what is revoked already is not revoked again"


async def test_refresh_token_reused_is_a_replay_and_once_its_successor_was_used_a_revocation(
    environment: Callable[..., None], lines: Lines
) -> None:
    async with started(environment, MCP_REFRESH_GRACE_SECONDS="0") as client:
        tokens = await client.sign_in()
        user = await object_id(client, tokens["access_token"])
        successor = (await client.refresh(tokens["refresh_token"])).json()
        lines.take()
        await client.refresh(tokens["refresh_token"])
        (replay,) = lines.take()
        assert (replay["event"], replay["what"], replay["answer"]) == ("replay", "refresh-token", "successor")
        await client.refresh(successor["refresh_token"])
        lines.take()
        await client.refresh(tokens["refresh_token"])
        late, revocation = lines.take()
        assert (late["event"], late["answer"]) == ("replay", "refused")
        assert (revocation["event"], revocation["because"]) == ("revocation", "a refresh token was used again")
        assert {(line["user"], line["client_id"]) for line in (replay, late, revocation)} == {(user, client.client_id)}
        assert replay["sign_in"] == late["sign_in"]


async def test_replays_of_two_sign_ins_of_one_person_are_told_apart(client: OAuthClient, lines: Lines) -> None:
    for _ in range(2):
        tokens = await client.sign_in()
        for _ in range(3):
            await client.refresh(tokens["refresh_token"])
    replays = [line for line in lines.take() if line["event"] == "replay"]
    assert [line["sign_in"] for line in replays[:2]] == [replays[0]["sign_in"]] * 2
    assert [line["sign_in"] for line in replays[2:]] == [replays[2]["sign_in"]] * 2
    assert replays[0]["sign_in"] != replays[2]["sign_in"]


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_client_that_signs_out_is_a_revocation(client: OAuthClient, lines: Lines, which: str) -> None:
    tokens = await client.sign_in()
    user = await object_id(client, tokens["access_token"])
    lines.take()
    form = {"client_id": client.client_id, "token": tokens[which]}
    await client.http.post("/revoke", data=form)
    (line,) = lines.take()
    assert (line["event"], line["because"]) == ("revocation", "its client signed out")
    assert (line["user"], line["client_id"]) == (user, client.client_id)
    await client.http.post("/revoke", data=form)
    assert lines.take() == [], "there was nothing left to revoke"


async def test_bearer_of_an_ended_sign_in_is_a_refusal_that_names_its_client(client: OAuthClient, lines: Lines) -> None:
    tokens = await client.sign_in()
    await client.http.post("/revoke", data={"client_id": client.client_id, "token": tokens["access_token"]})
    lines.take()
    await client.call(tokens["access_token"], "whoami")
    (line,) = lines.take()
    assert (line["event"], line["request"], line["status"]) == ("refusal", "POST /mcp", 401)
    assert line["client_id"] == client.client_id


async def test_account_that_may_not_sign_in_is_a_refusal_that_names_person_and_client(
    environment: Callable[..., None], lines: Lines, standins: StandIns
) -> None:
    async with started(
        environment, **multi_tenant(standins, "organizations"), ENTRA_ALLOWED_TENANTS=TENANT_ID
    ) as client:
        await client.register()
        upstream = await client.consent(await client.consent_page())
        lines.take()
        client.answer(await client.callback(upstream.headers["location"], "other"))
        (line,) = lines.take()
    assert (line["event"], line["request"], line["error"]) == ("refusal", "GET /auth/callback", "access_denied")
    assert (line["user"], line["client_id"]) == (claims_of(standins.token("other"))["oid"], client.client_id)


async def refused_registration(client: OAuthClient) -> httpx2.Response:
    client.redirect_uri = "https://evil.example/callback"
    return await client.register()


async def refused_authorization(client: OAuthClient) -> httpx2.Response:
    await client.register()
    return await client.authorize(code_challenge_method="plain")


async def unknown_client(client: OAuthClient) -> httpx2.Response:
    client.client_id = "nobody"
    return await client.authorize()


async def denied_consent(client: OAuthClient) -> httpx2.Response:
    await client.register()
    return await client.consent(await client.consent_page(), action="deny")


async def cancelled_sign_in(client: OAuthClient) -> httpx2.Response:
    await client.register()
    upstream = await client.consent(await client.consent_page())
    state = upstream.headers["location"].split("&state=")[1].split("&")[0]
    return await client.entra_return({"error": "access_denied", "error_description": "x", "state": state})


async def wrong_verifier(client: OAuthClient) -> httpx2.Response:
    return await client.redeem(await client.code(), code_verifier="x" * 43)


async def unknown_token_client(client: OAuthClient) -> httpx2.Response:
    client.client_id = "nobody"
    return await client.refresh("x")


async def forged_bearer(client: OAuthClient) -> httpx2.Response:
    return await client.call("a.b.c", "whoami")


async def forged_callback(client: OAuthClient) -> httpx2.Response:
    return await client.entra_return({"code": "x", "state": "y"})


@pytest.mark.parametrize(
    ("refuse", "request_line", "error", "names_client"),
    [
        (refused_registration, "POST /register", "invalid_redirect_uri", False),
        (refused_authorization, "GET /authorize", "invalid_request", True),
        (unknown_client, "GET /authorize", "invalid_request", True),
        (denied_consent, "POST /consent", "access_denied", True),
        (cancelled_sign_in, "GET /auth/callback", "access_denied", True),
        (forged_callback, "GET /auth/callback", "", False),
        (wrong_verifier, "POST /token", "invalid_grant", True),
        (unknown_token_client, "POST /token", "invalid_client", True),
        (forged_bearer, "POST /mcp", "invalid_token", False),
    ],
)
async def test_refusal_is_one_line(
    client: OAuthClient,
    lines: Lines,
    refuse: Callable[[OAuthClient], Awaitable[httpx2.Response]],
    request_line: str,
    error: str,
    names_client: bool,
) -> None:
    response = await refuse(client)
    refusals = [line for line in lines.take() if line["event"] == "refusal"]
    assert len(refusals) == 1, refusals
    (line,) = refusals
    assert (line["request"], line["status"], line["error"]) == (request_line, response.status_code, error)
    assert line["client_id"] == (client.client_id if names_client else None)


async def test_challenge_and_outage_are_no_refusals(client: OAuthClient, lines: Lines, entra: Entra) -> None:
    assert (await client.call(None, "whoami")).status_code == 401
    tokens = await client.sign_in()
    lines.take()
    await entra("POST", "/faults", {"code": 90033, "status": 503, "grant_type": "refresh_token", "times": 5})
    assert (await client.refresh(tokens["refresh_token"])).status_code == 503
    assert lines.take() == []


async def test_what_a_client_says_stays_one_short_value(client: OAuthClient, lines: Lines) -> None:
    name = 'x"}\n{"event": "sign_in", "user": "somebody"}'
    metadata = {"client_name": name, "redirect_uris": [client.redirect_uri], "token_endpoint_auth_method": "none"}
    client.client_id = (await client.http.post("/register", json=metadata)).json()["client_id"]
    upstream = await client.consent(await client.consent_page())
    state = parse_qs(urlsplit(upstream.headers["location"]).query)["state"][0]
    await client.entra_return({"error": "\n" + "y" * 9000, "state": state})
    assert not any("\n" in record.getMessage() for record in lines.records)
    registration, refusal = lines.take()
    assert registration["client_name"] == name
    assert refusal["error"] == "server_error"


async def test_levels_tell_what_should_alarm(client: OAuthClient, lines: Lines) -> None:
    await client.sign_in()
    await client.redeem("x")
    assert [(json.loads(record.getMessage())["event"], record.levelname) for record in lines.records] == [
        ("registration", "INFO"),
        ("sign_in", "INFO"),
        ("refusal", "WARNING"),
    ]


@pytest.mark.parametrize("seconds", ["0", "10"], ids=["read from storage", "in memory"])
async def test_refused_call_names_the_person(environment: Callable[..., None], lines: Lines, seconds: str) -> None:
    async with started(environment, MCP_CALLS_PER_MINUTE="1", MCP_UPSTREAM_TOKEN_CACHE_SECONDS=seconds) as client:
        token = (await client.sign_in())["access_token"]
        (signed_in,) = [line["user"] for line in lines.take() if line["event"] == "sign_in"]
        while (response := await client.call(token, "add", {"a": 1, "b": 1})).status_code != 429:
            structured(response)
        assert [line["user"] for line in lines.take() if line["event"] == "refusal"] == [signed_in]
