"""What is accepted as an access token: this server's own, valid now, whole, and nothing that looks like one."""

from __future__ import annotations

import json
import time
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from entra_mcp.storage.cache import CachedStore
from local.config import CLIENT_ID
from tests.engine.flows.conftest import proxied
from tests.engine.flows.test_outage import ALWAYS, unavailable
from tests.support.mcp import structured
from tests.support.vault import vault_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.oauth import OAuthClient
    from tests.support.standins import StandIns

PAST, FUTURE = 1_700_000_000, 4_000_000_000


async def signing_key(standins: StandIns) -> bytes:
    async with vault_client(standins) as vault:
        return b64decode((await vault.get_secret("jwt-signing-key")).value or "")


def changed(token: str, key: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """The token with other claims (None removes one), signed again with the server's own key."""
    new_claims = jwt.decode(token, options={"verify_signature": False}) | claims
    new_header = jwt.get_unverified_header(token) | header
    return jwt.encode(
        {name: value for name, value in new_claims.items() if value is not None},
        key,
        algorithm=new_header.pop("alg"),
        headers=new_header,
    )


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {"exp": PAST}),
        ({}, {"exp": None}),
        ({}, {"iat": None}),
        ({}, {"nbf": FUTURE}),
        ({}, {"iat": FUTURE}),
        ({}, {"iss": "https://other.example/"}),
        ({}, {"aud": "http://localhost:7071/"}),
        ({}, {"aud": None}),
        ({}, {"jti": None}),
        ({}, {"sid": None}),
        ({}, {"sid": "of-nobody-who-signed-in"}),
        ({}, {"token_use": "refresh"}),
        ({"typ": "at+jwt"}, {}),
        ({"kid": "0000000000000000"}, {}),
        ({"alg": "HS384"}, {}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_token_with_a_faulty_claim_is_challenged(
    client: OAuthClient, standins: StandIns, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    token = (await client.sign_in())["access_token"]
    key = await signing_key(standins)
    assert structured(await client.call(changed(token, key, {}, {}), "add", {"a": 1, "b": 1})) == {"result": 2}
    refused = await client.call(changed(token, key, header, claims), "add", {"a": 1, "b": 1})
    assert refused.status_code == 401
    assert "resource_metadata=" in refused.headers["www-authenticate"]


@pytest.mark.parametrize("header", [{"alg": "HS256", "crit": 5}, {"alg": "HS256", "crit": None}, ["alg"]], ids=str)
async def test_token_whose_header_is_any_json_is_a_bad_one_wherever_it_is_sent(
    client: OAuthClient, header: object
) -> None:
    await client.register()
    parts = (json.dumps(header).encode(), b"{}", b"x" * 32)
    token = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    assert (await client.call(token, "add", {"a": 1, "b": 1})).status_code == 401
    assert (await client.refresh(token)).status_code == 400
    metadata = "/.well-known/oauth-authorization-server"
    assert (await client.http.get(metadata, headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_tokens_of_other_kinds_are_challenged(client: OAuthClient, standins: StandIns) -> None:
    tokens = await client.sign_in()
    head, body, signature = tokens["access_token"].split(".")
    none = jwt.encode(jwt.decode(tokens["access_token"], options={"verify_signature": False}), "", algorithm="none")
    now = int(time.time())
    others = {
        "a refresh token": tokens["refresh_token"],
        "without a signature": none,
        "with the signature cut off": f"{head}.{body}.",
        "with another's signature": f"{head}.{body}.{tokens['refresh_token'].rpartition('.')[2]}",
        "with the head twice": f"{head}.{head}.{signature}",
        "of Entra ID": standins.token(),
        "of Entra ID for Microsoft Graph": standins.token(aud="https://graph.microsoft.com"),
        "of Entra ID, version 1": standins.token(iss=f"https://sts.windows.net/{standins.tenant_id}/", ver="1.0"),
        "of Entra ID, another tenant's": standins.token(tid="99999999-9999-4999-8999-999999999999"),
        "of Entra ID, for an application": standins.token(idtyp="app", scp=None, roles=["Admin"]),
        "signed by somebody else": jwt.encode(
            {"iss": "http://localhost:7071/", "aud": CLIENT_ID, "exp": now + 60}, "k" * 32, algorithm="HS256"
        ),
    }
    seen = {name: (await client.call(token, "add", {"a": 1, "b": 1})).status_code for name, token in others.items()}
    assert seen == dict.fromkeys(others, 401)


async def test_public_page_is_there_during_an_outage_for_who_sends_a_token_along(
    environment: Callable[..., None], azurite: str
) -> None:
    async with proxied(environment, azurite, MCP_UPSTREAM_TOKEN_CACHE_SECONDS="0") as (proxy, client):
        token = (await client.sign_in())["access_token"]
        proxy.break_next(503, times=ALWAYS)
        page = await client.http.get(
            "/.well-known/oauth-authorization-server", headers={"Authorization": f"Bearer {token}"}
        )
        assert page.status_code == 200
        await unavailable(client.call(token, "add", {"a": 1, "b": 1}))


async def test_token_set_of_another_form_ends_its_sign_in(client: OAuthClient, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await client.sign_in())["access_token"]

    async def another(*_: object, **__: object) -> dict[str, Any]:
        return {"tokens": {}}

    monkeypatch.setattr(CachedStore, "get", another)
    assert (await client.call(token, "add", {"a": 1, "b": 1})).status_code == 401
