"""Clients with a document and a key: each assertion that they sign is good once, and costs nobody else anything."""

from __future__ import annotations

import base64
import gc
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx2
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from fastmcp.server.auth.auth import JWT_BEARER_ASSERTION_TYPE
from fastmcp.server.auth.cimd import CIMDAssertionValidator
from fastmcp.server.auth.ssrf import SSRFError, SSRFFetchError
from jwt.algorithms import ECAlgorithm

from entra_mcp.auth.clients import keys as client_keys
from entra_mcp.auth.clients.documents import REMEMBERED_SECONDS
from tests.engine.flows.conftest import BASE_URL
from tests.engine.flows.web.conftest import DOCUMENT, PUBLIC, browser
from tests.support.oauth import OAuthClient
from tests.support.tasks import in_own_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.engine.flows.web.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def client(start: Start) -> AsyncIterator[OAuthClient]:
    async with start() as app, in_own_task(browser(app)) as http:
        yield OAuthClient(http=http, client_id=PUBLIC)


def keyed(key: ec.EllipticCurvePrivateKey, client_id: str = PUBLIC) -> dict[str, Any]:
    """The document of a client that signs with the key."""
    public = json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": "k1", "use": "sig"}
    return DOCUMENT | {
        "client_id": client_id,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public]},
    }


def assertion(key: ec.EllipticCurvePrivateKey, **changes: object) -> dict[str, str]:
    """What such a client sends with a request."""
    now = int(time.time())
    claims = {"iss": PUBLIC, "sub": PUBLIC, "aud": f"{BASE_URL}/token", "jti": secrets.token_hex(), "iat": now}
    signed = jwt.encode(claims | {"exp": now + 60} | changes, key, algorithm="ES256", headers={"kid": "k1"})
    return {"client_assertion_type": JWT_BEARER_ASSERTION_TYPE, "client_assertion": signed}


async def test_assertion_is_good_once_on_whatever_instance(start: Start, served: dict[str, Any], azurite: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    served["document"] = keyed(key)
    table = f"T{secrets.token_hex(8)}"
    async with (
        start(MCP_TABLE_NAME=table) as one,
        start(MCP_TABLE_NAME=table) as other,
        in_own_task(browser(one)) as http,
        in_own_task(browser(other)) as other_http,
    ):
        client = OAuthClient(http=http, client_id=PUBLIC)
        code = await client.code()
        assert (await client.redeem(code)).status_code == 401
        used = assertion(key)
        tokens = (await client.redeem(code, **used)).json()
        client.http = other_http
        for http_of_instance in (http, other_http):
            client.http = http_of_instance
            replayed = await client.refresh(tokens["refresh_token"], **used)
            assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_client")
        bad = [{"exp": float("inf")}, {"iat": "now"}, {"jti": ["a"]}]
        for each in (assertion(ec.generate_private_key(ec.SECP256R1())), *(assertion(key, **claim) for claim in bad)):
            assert (await client.refresh(tokens["refresh_token"], **each)).status_code == 401
        assert (await client.refresh(tokens["refresh_token"], **assertion(key))).status_code == 200


@pytest.mark.parametrize(
    "payload",
    [b"[" * 20_000, b'{"sub": ' + b"[" * 20_000, b'{"sub": "\\ud800"}', b"\xff", b"9" * 5000],
    ids=lambda part: repr(part[:20]),
)
@pytest.mark.parametrize("named", [True, False])
async def test_hostile_assertion_is_a_bad_one(
    client: OAuthClient, served: dict[str, Any], payload: bytes, named: bool
) -> None:
    served["document"] = keyed(ec.generate_private_key(ec.SECP256R1()))
    header, body = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg": "ES256"}', payload))
    sent = {"client_assertion_type": JWT_BEARER_ASSERTION_TYPE, "client_assertion": f"{header}.{body}.AAAA"}
    client.client_id = PUBLIC if named else ""
    answer = await client.refresh("x", **sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_assertions_of_one_client_cost_no_other_client_anything(
    client: OAuthClient, served: dict[str, Any]
) -> None:
    """Their ids are each client's own, and no process keeps them, of which it would have enough at some time."""
    for each in [found for found in gc.get_objects() if isinstance(found, CIMDAssertionValidator)]:
        vars(each)["_jti_cache_max_size"] = 1  # as if 9,999 others had come
    for client.client_id in (PUBLIC, PUBLIC.replace("client", "other")):
        key = ec.generate_private_key(ec.SECP256R1())
        served["document"] = keyed(key, client.client_id)
        named = {"iss": client.client_id, "sub": client.client_id}
        for jti, status in {"one": 400, "another": 400, "x" * 255: 400, "x" * 256: 401, "x" * 40_000: 401}.items():
            for code in (status, 401):
                answer = await client.refresh("x", **assertion(key, jti=jti, **named))
                assert (answer.status_code, jti[:9]) == (code, jti[:9])


@pytest.mark.parametrize(
    ("audience", "status"),
    [
        (f"{BASE_URL}/token", 400),
        (f"{BASE_URL}/", 400),
        (BASE_URL, 400),
        ("https://another.example/", 401),
        (f"{BASE_URL}/mcp", 401),
    ],
)
async def test_assertion_names_the_token_endpoint_or_the_issuer(
    client: OAuthClient, served: dict[str, Any], audience: str, status: int
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    served["document"] = keyed(key)
    assert (await client.refresh("x", **assertion(key, aud=audience))).status_code == status


async def test_sign_in_ends_with_an_assertion_alone(client: OAuthClient, served: dict[str, Any]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    served["document"] = keyed(key)
    named = {"token": "x", "client_id": PUBLIC}
    assert (await client.http.post("/revoke", data=named)).status_code == 401
    assert (await client.http.post("/revoke", data=named | assertion(key))).status_code == 200


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf"])
async def test_time_that_is_no_number_is_a_bad_one(client: OAuthClient, served: dict[str, Any], claim: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    served["document"] = keyed(key)
    sent = assertion(key, **{"exp": int(time.time()) + 10**9, "iat": float("nan"), claim: float("nan")})
    assert (await client.refresh("x", **sent)).status_code == 401


async def test_assertion_is_remembered_for_longer_than_it_is_good() -> None:
    clocks = 60
    assert CIMDAssertionValidator.MAX_ASSERTION_LIFETIME + clocks < REMEMBERED_SECONDS


UNHEARD_OF = [{"kty": "EC", "kid": "k1", "crv": "nope", "x": "AQ", "y": "AQ"}]
AWAY = [SSRFFetchError("HTTP 503 fetching the keys"), httpx2.ConnectError("x")]


@pytest.mark.parametrize("failure", AWAY, ids=repr)
async def test_keys_that_cannot_be_fetched_for_a_while_sign_nobody_out(
    client: OAuthClient, served: dict[str, Any], failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWAY_SECONDS", "FRESH_SECONDS", "UNKNOWN_KEY_SECONDS"):
        monkeypatch.setattr(client_keys, name, 0.0)
    key = ec.generate_private_key(ec.SECP256R1())
    at = f"https://93.184.215.14/{secrets.token_hex()}.json"
    served["document"] = keyed(key) | {"jwks": None, "jwks_uri": at}
    served["keys"] = keyed(key)["jwks"]
    away = SSRFFetchError("Error fetching the keys")
    away.__cause__ = failure
    served["keys_failure"] = away
    answer = await client.refresh("x", **assertion(key))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    served["keys_failure"] = None
    assert (await client.refresh("x", **assertion(key))).status_code == 400
    served["keys_failure"] = away
    assert (await client.refresh("x", **assertion(key))).status_code == 400
    assert served["keys_fetched"] == [at] * 3


@pytest.mark.parametrize(
    ("keys", "failure"),
    [
        ({"keys": []}, None),
        (["keys"], None),
        (None, SSRFError("not a public address")),
        (None, SSRFFetchError("HTTP 404 fetching the keys")),
    ],
    ids=repr,
)
async def test_address_without_the_key_is_a_bad_assertion(
    client: OAuthClient, served: dict[str, Any], keys: object, failure: Exception | None
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    at = f"https://93.184.215.14/{secrets.token_hex()}.json"
    served["document"] = keyed(key) | {"jwks": None, "jwks_uri": at}
    served |= {"keys": keys, "keys_failure": failure}
    assert (await client.refresh("x", **assertion(key))).status_code == 401


@pytest.mark.parametrize(
    "keys", [["x"], {"a": 1}, [None], [{"kty": "EC", "kid": "k1"}], [{"kty": ["EC"]}], UNHEARD_OF], ids=repr
)
@pytest.mark.parametrize("inline", [True, False])
async def test_keys_that_are_none_make_a_bad_assertion(
    client: OAuthClient, served: dict[str, Any], keys: object, inline: bool
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    at = f"https://93.184.215.14/{secrets.token_hex()}.json"
    served["keys"] = {"keys": keys}
    served["document"] = keyed(key) | ({"jwks": served["keys"]} if inline else {"jwks": None, "jwks_uri": at})
    assert (await client.refresh("x", **assertion(key))).status_code == 401


@pytest.mark.parametrize("at", ["https://93.184.215.14:8443/keys", "https://user@93.184.215.14/keys"])
async def test_keys_at_a_strange_address_make_no_client(client: OAuthClient, served: dict[str, Any], at: str) -> None:
    served["document"] = keyed(ec.generate_private_key(ec.SECP256R1())) | {"jwks": None, "jwks_uri": at}
    assert (await client.authorize()).status_code == 400
