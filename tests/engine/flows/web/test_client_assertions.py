"""Clients with a document and a key: each assertion that they sign is good once, and costs nobody else anything."""

from __future__ import annotations

import base64
import gc
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from fastmcp.server.auth.auth import JWT_BEARER_ASSERTION_TYPE
from fastmcp.server.auth.cimd import CIMDAssertionValidator
from jwt.algorithms import ECAlgorithm

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
        back = await client.callback((await client.consent(await client.consent_page())).headers["location"])
        code = client.answer(back)["code"]
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
