"""Identity assertions in place of a sign-in (SEP-990): off by default, good once, on whatever instance."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from tests.engine.flows.conftest import BASE_URL, over
from tests.ops.test_revoke import revoke
from tests.support.app.server import running_app
from tests.support.mcp import refusal, result, structured
from tests.support.oauth import OAuthClient
from tests.support.serving import serving
from tests.support.standins import StandIns
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    import httpx2
    from starlette.requests import Request
    from starlette.responses import Response

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"
OTHER_TENANT = "33333333-3333-4333-8333-333333333333"

Clients = tuple[OAuthClient, OAuthClient]


@pytest.fixture
def trusting(environment: Callable[..., None], standins: StandIns) -> None:
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=standins.issuer)


@pytest_asyncio.fixture(loop_scope="module")
async def clients(trusting: None) -> AsyncIterator[Clients]:
    """One registered client before two instances that share nothing but the table and the vault."""
    async with in_own_task(two_instances()) as found:
        yield found


@pytest.fixture
def company(standins: StandIns, tmp_path: Path) -> Iterator[StandIns]:
    """An identity provider that a test may stop."""
    with StandIns(folder=tmp_path, tls=standins.tls) as found:
        yield found


@asynccontextmanager
async def two_instances() -> AsyncGenerator[Clients]:
    async with running_app() as one, running_app() as other, over(one) as here, over(other) as there:
        first, second = OAuthClient(http=here), OAuthClient(http=there)
        await first.register()
        second.client_id = first.client_id
        yield first, second


def assertion(standins: StandIns, client: OAuthClient, **changes: Any) -> str:  # noqa: ANN401 - any JSON
    """An assertion that is good for the client, with some members changed."""
    usual = {"client_id": client.client_id, "audience": f"{BASE_URL}/", "resource": f"{BASE_URL}/mcp"}
    return standins.assertion(**(usual | changes))


async def present(client: OAuthClient, sent: str, **changes: str) -> httpx2.Response:
    form = {"grant_type": GRANT, "assertion": sent, "client_id": client.client_id} | changes
    return await client.http.post("/token", data=form)


def error(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


async def test_assertion_is_good_for_an_access_token_on_every_instance(clients: Clients, standins: StandIns) -> None:
    here, there = clients
    response = await present(here, assertion(standins, here))
    tokens = response.json()
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, "access_as_user")
    signed_in = await there.sign_in()
    person = structured(await there.call(signed_in["access_token"], "whoami"))
    for client in clients:
        caller = structured(await client.call(tokens["access_token"], "whoami"))
        assert caller == {**person, "username": None, "roles": []}
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert not {"sub", "name", "oid"} & claims.keys(), "the token is for the client"


@pytest.mark.parametrize("where", [0, 1], ids=["the same instance", "another instance"])
async def test_assertion_is_good_once(clients: Clients, standins: StandIns, where: int) -> None:
    sent = assertion(standins, clients[0])
    tokens = (await present(clients[0], sent)).json()
    assert error(await present(clients[where], sent)) == (400, "invalid_grant")
    assert structured(await clients[1].call(tokens["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


async def test_assertion_that_comes_many_times_at_once_is_good_once(clients: Clients, standins: StandIns) -> None:
    sent = assertion(standins, clients[0])
    answers = await asyncio.gather(*(present(client, sent) for client in clients * 10))
    assert sorted(answer.status_code for answer in answers) == [200, *[400] * 19]


async def test_id_of_an_assertion_is_used_up_whatever_else_the_next_one_says(
    clients: Clients, standins: StandIns
) -> None:
    jti = {"claims": {"jti": "once"}}
    assert (await present(clients[0], assertion(standins, clients[0], **jti))).status_code == 200
    again = assertion(standins, clients[1], account="admin", **jti)
    assert error(await present(clients[1], again)) == (400, "invalid_grant")


async def test_assertion_that_was_refused_is_not_used_up(clients: Clients, standins: StandIns) -> None:
    here, there = clients
    sent = assertion(standins, here)
    other = OAuthClient(http=there.http)
    await other.register()
    assert error(await present(other, sent)) == (400, "invalid_grant")
    assert error(await present(here, sent, scope="Orders.Delete")) == (400, "invalid_scope")
    assert (await present(here, sent)).status_code == 200


async def test_assertion_without_a_scope_that_every_call_needs_is_not_used_up(
    clients: Clients, standins: StandIns
) -> None:
    jti = {"jti": "in another claim"}
    for lacking in ({"scope": None, "scp": "access_as_user"}, {"scope": "", "scp": ["access_as_user"]}):
        sent = assertion(standins, clients[0], claims=jti | lacking)
        assert error(await present(clients[0], sent)) == (400, "invalid_grant")
    assert (await present(clients[1], assertion(standins, clients[1], claims=jti))).status_code == 200


NOW, NAN = int(time.time()), float("nan")

NOT_GOOD: list[dict[str, Any]] = [
    {"audience": "https://other.example/"},
    {"audience": f"{BASE_URL}/mcp"},
    {"resource": "https://other.example/mcp"},
    {"claims": {"resource": None}},
    {"client_id": "somebody-else"},
    {"claims": {"client_id": None}},
    {"claims": {"exp": NOW - 600, "iat": NOW - 900}},
    {"claims": {"exp": None}},
    {"claims": {"exp": NOW + 86_400}},
    {"claims": {"iat": NOW + 3_600, "exp": NOW + 3_700}},
    {"claims": {"nbf": NOW + 3_600}},
    {"claims": {"exp": NAN}},
    {"claims": {"exp": 10**400}},
    {"claims": {"iat": -(10**400)}},
    {"claims": {"resource": "http://[::1"}},
    {"claims": {"exp": NOW + 86_400, "iat": NAN}},
    {"claims": {"nbf": NAN}},
    {"claims": {"jti": None}},
    {"claims": {"jti": ["a"]}},
    {"claims": {"sub": None}},
    {"claims": {"iss": "https://other.example"}},
    {"claims": {"iss": None}},
    {"account": "other"},
    {"scope": "other"},
    {"scope": ""},
    {"headers": {"typ": "JWT"}},
    {"headers": {"typ": "at+jwt"}},
]


async def test_assertion_that_is_not_for_this_client_here_and_now_is_refused(
    clients: Clients, standins: StandIns
) -> None:
    answers = [
        (changes, error(await present(clients[0], assertion(standins, clients[0], **changes)))) for changes in NOT_GOOD
    ]
    assert [(changes, found) for changes, found in answers if found != (400, "invalid_grant")] == []


async def test_assertion_that_the_issuer_did_not_sign_is_refused(clients: Clients, standins: StandIns) -> None:
    good = assertion(standins, clients[0])
    claims = jwt.decode(good, options={"verify_signature": False})
    headers = jwt.get_unverified_header(good)
    forged = jwt.encode(claims, rsa.generate_private_key(65537, 2048), algorithm="RS256", headers=headers)
    unsigned = jwt.encode(claims, "", algorithm="none", headers=headers | {"alg": "none"})
    shared = jwt.encode(
        claims, "a secret that is long enough for it", algorithm="HS256", headers=headers | {"alg": "HS256"}
    )
    head, body, signature = good.split(".")
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=").decode()
    lists = (f"{deep}.{body}.{signature}", f"{head}.{deep}.{signature}")
    for sent in (forged, unsigned, shared, good[:-4], "", "a.b.c", "é", json.dumps(claims), *lists):
        status, code = error(await present(clients[0], sent))
        assert (status, code) in {(400, "invalid_grant"), (400, "invalid_request")}, sent
    access = standins.token("user", client_id=clients[0].client_id, resource=f"{BASE_URL}/mcp", jti="1")
    assert error(await present(clients[0], access)) == (400, "invalid_grant"), "a token is no assertion"


async def test_issuer_that_is_away_uses_no_assertion_up_and_refuses_none(
    company: StandIns, environment: Callable[..., None]
) -> None:
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=company.issuer)
    async with two_instances() as (here, there):
        sent = [assertion(company, here) for _ in range(3)]
        tampered, foreign = f"{sent[0][:-8]}AAAAAAAA", assertion(company, here, claims={"iss": "https://other.example"})
        await here.http.get("/readyz")
        company.entra.kill()
        for client in (here, there):
            for each in (*sent, tampered):
                response = await present(client, each)
                assert error(response) == (503, "temporarily_unavailable")
                assert int(response.headers["retry-after"]) > 0
                assert response.headers["cache-control"] == "no-store"
        assert error(await present(here, foreign)) == (400, "invalid_grant"), "it does not depend on the issuer"
        company.entra.start()
        assert (await present(here, sent[0])).status_code == 200
        assert error(await present(here, sent[0])) == (400, "invalid_grant")
        assert error(await present(here, tampered)) == (400, "invalid_grant")
        company.entra.kill()
        assert (await present(here, sent[1])).status_code == 200, "the keys that are known serve on"
        assert error(await present(there, sent[2])) == (503, "temporarily_unavailable")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"jwks_uri": 5},
        {"jwks_uri": "http://["},
        {"jwks_uri": "http://0.0.0.0:{port}/keys"},
        {"issuer": "https://other.example"},
        {"issuer": None},
        [],
        "not JSON",
    ],
)
async def test_issuer_with_a_document_that_names_no_keys_of_its_own_is_away(
    environment: Callable[..., None], standins: StandIns, document: object
) -> None:
    with standins.http() as http:
        address = http.get(f"{standins.issuer}/.well-known/openid-configuration").json()["jwks_uri"]
        keys = http.get(address).json()

    async def answer(_: Request) -> Response:
        if not isinstance(document, dict):
            return PlainTextResponse(document) if isinstance(document, str) else JSONResponse(document)
        good = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"} if document else {}
        return PlainTextResponse(json.dumps(good | document).replace("{port}", str(port)))

    async def answer_keys(_: Request) -> Response:
        return JSONResponse(keys)

    routes = [Route("/.well-known/openid-configuration", answer), Route("/keys", answer_keys)]
    async with serving(Starlette(routes=routes)) as port:
        issuer = f"http://127.0.0.1:{port}"
        environment(MCP_IDENTITY_ASSERTION_ISSUERS=issuer)
        async with two_instances() as (client, _):
            response = await present(client, assertion(standins, client, claims={"iss": issuer}))
    assert error(response) == (503, "temporarily_unavailable")


async def test_client_that_is_not_registered_presents_none(clients: Clients, standins: StandIns) -> None:
    stranger = OAuthClient(http=clients[0].http, client_id="nobody")
    assert error(await present(stranger, assertion(standins, stranger))) == (401, "invalid_client")
    assert error(await present(clients[0], assertion(standins, clients[0]), resource="https://other.example/mcp")) == (
        400,
        "invalid_target",
    )


async def test_scopes_are_those_of_the_assertion_that_are_on_offer(
    environment: Callable[..., None], standins: StandIns
) -> None:
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=standins.issuer, ENTRA_OPTIONAL_SCOPES="Orders.Approve Orders.Delete")
    async with two_instances() as (client, _):
        scope = "Orders.Approve access_as_user Mail.Send"
        tokens = (await present(client, assertion(standins, client, scope=scope))).json()
        assert tokens["scope"] == "access_as_user Orders.Approve"
        fewer = await present(client, assertion(standins, client, scope=scope), scope="access_as_user Orders.Delete")
        assert fewer.json()["scope"] == "access_as_user"
        assert structured(await client.call(fewer.json()["access_token"], "whoami"))["scopes"] == ["access_as_user"]


async def test_issuer_names_nobody_of_a_tenant_that_is_not_its_own(clients: Clients, standins: StandIns) -> None:
    foreign = assertion(
        standins, clients[0], claims={"tid": OTHER_TENANT, "oid": "an administrator", "roles": ["Admin"]}
    )
    token = (await present(clients[0], foreign)).json()["access_token"]
    caller = structured(await clients[1].call(token, "whoami"))
    subject = jwt.decode(foreign, options={"verify_signature": False})["sub"]
    assert (caller["tenant_id"], caller["object_id"], caller["roles"]) == (standins.issuer, subject, [])


async def test_operator_revokes_the_sign_in_of_a_subject_whatever_object_its_issuer_names(
    environment: Callable[..., None], standins: StandIns, azurite: str, tmp_path: Path
) -> None:
    subject, table = "cccccccc-0001-4000-8000-00000000000c", "TAsserted"
    environment(
        MCP_IDENTITY_ASSERTION_ISSUERS=standins.issuer, MCP_TABLE_NAME=table, MCP_UPSTREAM_TOKEN_CACHE_SECONDS="0"
    )
    async with two_instances() as (client, _):
        claims = {"tid": OTHER_TENANT, "oid": "an administrator", "sub": subject}
        token = (await present(client, assertion(standins, client, claims=claims))).json()["access_token"]
        assert structured(await client.call(token, "whoami"))["object_id"] == subject
        assert (await asyncio.to_thread(revoke, standins, azurite, table, subject, tmp_path))[0] == 0
        assert (await client.call(token, "whoami")).status_code == 401


async def test_tool_that_acts_at_another_api_says_what_to_do(clients: Clients, standins: StandIns) -> None:
    token = (await present(clients[0], assertion(standins, clients[0]))).json()["access_token"]
    assert "Let your client sign you in instead" in refusal(await clients[0].call(token, "graph_me"))


async def test_client_that_signs_out_ends_it_on_every_instance(
    environment: Callable[..., None], standins: StandIns
) -> None:
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=standins.issuer, MCP_UPSTREAM_TOKEN_CACHE_SECONDS="0")
    async with two_instances() as (here, there):
        token = (await present(here, assertion(standins, here))).json()["access_token"]
        assert (await there.call(token, "add", {"a": 1, "b": 1})).status_code == 200
        revoked = await here.http.post("/revoke", data={"token": token, "client_id": here.client_id})
        assert revoked.status_code == 200
        for client in (here, there):
            assert (await client.call(token, "add", {"a": 1, "b": 1})).status_code == 401


async def test_metadata_names_the_grant_only_where_it_is_taken(
    clients: Clients, environment: Callable[..., None]
) -> None:
    path = "/.well-known/oauth-authorization-server"
    document = (await clients[0].http.get(path)).json()
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token", GRANT]
    assert document["authorization_grant_profiles_supported"] == [PROFILE]
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=None)
    async with two_instances() as (client, _):
        document = (await client.http.get(path)).json()
        assert document["grant_types_supported"] == ["authorization_code", "refresh_token"]
        assert "authorization_grant_profiles_supported" not in document


async def test_without_the_setting_there_is_no_such_grant_and_no_such_token(
    environment: Callable[..., None], standins: StandIns
) -> None:
    table = {"MCP_TABLE_NAME": "TAssertions"}
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=standins.issuer, **table)
    async with two_instances() as (client, _):
        token = (await present(client, assertion(standins, client))).json()["access_token"]
        assert result(await client.call(token, "add", {"a": 1, "b": 1}))
        client_id = client.client_id
    environment(MCP_IDENTITY_ASSERTION_ISSUERS=None, **table)
    async with two_instances() as (client, _):
        client.client_id = client_id
        assert error(await present(client, assertion(standins, client))) == (400, "unsupported_grant_type")
        assert (await client.call(token, "add", {"a": 1, "b": 1})).status_code == 401, "nor is a token of before good"
