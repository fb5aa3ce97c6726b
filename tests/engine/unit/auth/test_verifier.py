"""Verification of Entra ID's access tokens: claims that are accepted, and every near miss that is not."""

from __future__ import annotations

import json
import time
from math import inf
from typing import TYPE_CHECKING, Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from entra_mcp.auth.entra import public_keys
from entra_mcp.auth.entra import verifier as entra_verifier
from entra_mcp.auth.entra.app import EntraApp
from entra_mcp.auth.entra.public_keys import SigningKeysError
from entra_mcp.auth.entra.verifier import PERSONAL_ACCOUNTS_TENANT, EntraTokenVerifier
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

CLIENT = "7d1f5bb3-52c6-4f1a-8f5e-0f6f0d7c9a11"
HOME = "0f2b6f2e-1c6b-4c55-9d0f-6a6f3f0d8f10"
OTHER = "5a3b8b65-9a86-4c8c-8b29-b7a3f0c2a1de"
AUTHORITY = "login.example"


class EntraKeys:
    """A signing key, and the endpoint that publishes its public half."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.published: Mapping[str, Any] | None = {
            "keys": [json.loads(RSAAlgorithm.to_jwk(self.private.public_key())) | {"kid": "k1", "use": "sig"}]
        }
        self.fetched: list[str] = []
        self._app = Starlette(routes=[Route("/{tenant}/discovery/v2.0/keys", self._serve)])

    async def _serve(self, request: Request) -> Response:
        self.fetched.append(request.path_params["tenant"])
        return Response(status_code=503) if self.published is None else JSONResponse(dict(self.published))

    def http_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self._app))

    def token(self, *, tenant: str = HOME, algorithm: str = "RS256", **changes: object) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": CLIENT,
            "iss": f"https://{AUTHORITY}/{tenant}/v2.0",
            "tid": tenant,
            "oid": "a-user",
            "sub": "a-subject",
            "scp": "access_as_user",
            "ver": "2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        claims |= changes
        claims = {name: value for name, value in claims.items() if value is not None}
        key: Any = {"RS256": self.private, "HS256": "x" * 32, "none": ""}[algorithm]
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k1"})


@pytest.fixture(scope="module")
def keys() -> EntraKeys:
    return EntraKeys()


def verifier(keys: EntraKeys, tenant: str = HOME, *allowed: str) -> EntraTokenVerifier:
    return EntraTokenVerifier(
        EntraApp(
            client_id=CLIENT,
            tenant_id=tenant,
            authority=AUTHORITY,
            identifier_uri=f"api://{CLIENT}",
            allowed_tenants=allowed,
        ),
        required_scopes=["access_as_user"],
        http_client=keys.http_client(),
    )


@pytest.mark.parametrize(
    ("tenant_setting", "allowed", "tenant"),
    [
        (HOME, (), HOME),
        ("organizations", (), HOME),
        ("organizations", (), OTHER),
        ("organizations", (OTHER,), OTHER),
        ("consumers", (), PERSONAL_ACCOUNTS_TENANT),
    ],
)
async def test_token_of_an_admitted_tenant_is_accepted(
    keys: EntraKeys, tenant_setting: str, allowed: tuple[str, ...], tenant: str
) -> None:
    verified = await verifier(keys, tenant_setting, *allowed).verify_token(keys.token(tenant=tenant))
    assert verified is not None
    assert verified.claims["tid"] == tenant
    assert verified.scopes == ["access_as_user"]
    assert keys.fetched[-1] == tenant_setting


@pytest.mark.parametrize(
    ("tenant_setting", "allowed", "changes"),
    [
        (HOME, (), {"tenant": OTHER}),
        (HOME, (), {"tid": OTHER}),
        (HOME, (), {"tid": None}),
        (HOME, (), {"iss": f"https://sts.windows.net/{HOME}/"}),
        (HOME, (), {"iss": f"https://{AUTHORITY}.evil.example/{HOME}/v2.0"}),
        (HOME, (), {"iss": None}),
        ("organizations", (), {"iss": f"https://{AUTHORITY}/{OTHER}/v2.0"}),
        ("organizations", (), {"tid": OTHER}),
        ("organizations", (), {"tid": None}),
        ("organizations", (), {"iss": f"https://{AUTHORITY}/None/v2.0", "tid": None}),
        ("organizations", (), {"iss": f"https://{AUTHORITY}/organizations/v2.0"}),
        ("organizations", (), {"iss": None}),
        ("organizations", (), {"tenant": PERSONAL_ACCOUNTS_TENANT}),
        ("organizations", (OTHER,), {"tenant": HOME}),
        ("consumers", (), {"tenant": HOME}),
        (HOME, (), {"aud": "00000003-0000-0000-c000-000000000000"}),
        (HOME, (), {"aud": None}),
        (HOME, (), {"scp": "other_scope"}),
        (HOME, (), {"scp": None, "roles": ["access_as_user"]}),
        (HOME, (), {"exp": 1_700_000_000}),
        (HOME, (), {"exp": None}),
        (HOME, (), {"nbf": 4_000_000_000}),
        (HOME, (), {"iat": 4_000_000_000}),
        (HOME, (), {"nbf": "soon"}),
        (HOME, (), {"oid": None}),
        (HOME, (), {"sub": None}),
        (HOME, (), {"sub": ""}),
        (HOME, (), {"algorithm": "HS256"}),
        (HOME, (), {"algorithm": "none"}),
    ],
    ids=str,
)
async def test_token_that_is_not_for_this_server_is_refused(
    keys: EntraKeys, tenant_setting: str, allowed: tuple[str, ...], changes: dict[str, Any]
) -> None:
    assert await verifier(keys, tenant_setting, *allowed).verify_token(keys.token(**changes)) is None


async def test_token_of_a_clock_that_is_a_little_ahead_is_accepted(keys: EntraKeys) -> None:
    soon = int(time.time()) + 30
    assert await verifier(keys).verify_token(keys.token(nbf=soon, iat=soon)) is not None


async def test_what_a_verified_token_says_is_made_anew_for_each_caller(keys: EntraKeys) -> None:
    ours, token = verifier(keys), keys.token(groups=["a"])
    for _ in range(3):
        found = await ours.verify_token(token)
        assert found is not None
        assert found.token == token
        assert found.claims["groups"] == ["a"]
        found.claims["groups"].append("b")
        found.scopes.clear()


async def test_what_a_verified_token_says_may_be_any_json(keys: EntraKeys) -> None:
    ours, token = verifier(keys), keys.token(name="\ud800", groups=[{"a": None}], level=1e400)
    for _ in range(2):
        found = await ours.verify_token(token)
        assert found is not None
        assert (found.claims["name"], found.claims["groups"], found.claims["level"]) == ("\ud800", [{"a": None}], inf)


async def test_token_that_was_verified_is_refused_once_it_has_expired(
    keys: EntraKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.now = time.time()
    monkeypatch.setattr(time, "time", clock)
    ours, token = verifier(keys), keys.token(exp=int(clock.now) + 100)
    for seconds, good in ((0, True), (99, True), (2, False)):
        clock.advance(seconds)
        assert (await ours.verify_token(token) is not None) is good


@pytest.mark.parametrize("now_published", ["another key by the same name", "another name"])
async def test_token_that_was_verified_is_refused_when_its_key_is_gone(
    monkeypatch: pytest.MonkeyPatch, now_published: str
) -> None:
    monkeypatch.setattr(public_keys, "UNKNOWN_KEY_SECONDS", 0.0)
    keys = EntraKeys()
    ours, token = verifier(keys), keys.token()
    assert await ours.verify_token(token) is not None
    kid = "k1" if now_published == "another key by the same name" else "k2"
    keys.published = {"keys": [json.loads(RSAAlgorithm.to_jwk(EntraKeys().private.public_key())) | {"kid": kid}]}
    # A token that names an unknown key has the keys fetched.
    assert await ours.verify_token(jwt.encode({}, keys.private, algorithm="RS256", headers={"kid": "unknown"})) is None
    assert await ours.verify_token(token) is None


async def test_token_that_was_verified_is_good_during_an_outage_of_the_keys_and_not_for_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, clock = EntraKeys(), Clock()
    ours, token = verifier(keys), keys.token()
    monkeypatch.setattr(ours.public_keys, "_clock", clock)
    assert await ours.verify_token(token) is not None
    keys.published = None
    clock.advance(public_keys.STALE_SECONDS - 1)
    assert await ours.verify_token(token) is not None
    clock.advance(2)
    with pytest.raises(SigningKeysError):
        await ours.verify_token(token)


async def test_tokens_that_were_verified_are_remembered_within_a_bound(
    keys: EntraKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entra_verifier, "MAX_REMEMBERED", 3)
    ours = verifier(keys)
    for number in range(10):
        assert await ours.verify_token(keys.token(number=number)) is not None
    assert len(ours._remembered) == 3  # pyright: ignore[reportPrivateUsage] - memory shows in nothing else


async def test_token_of_another_key_is_refused(keys: EntraKeys) -> None:
    assert await verifier(keys).verify_token(EntraKeys().token()) is None


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "\ud800", "." * 10_000])
async def test_token_that_is_none_is_refused(keys: EntraKeys, token: str) -> None:
    assert await verifier(keys).verify_token(token) is None


@pytest.mark.parametrize("authority", ["login.microsoftonline.us", "login.partner.microsoftonline.cn"])
def test_sovereign_authority_is_asked_for_keys(keys: EntraKeys, authority: str) -> None:
    sovereign = EntraTokenVerifier(
        EntraApp(client_id=CLIENT, tenant_id=HOME, authority=authority, identifier_uri="api://x"),
        required_scopes=["a"],
        http_client=keys.http_client(),
    )
    assert sovereign.jwks_uri == f"https://{authority}/{HOME}/discovery/v2.0/keys"
    assert sovereign.issuer == f"https://{authority}/{HOME}/v2.0"


def test_scopes_are_advertised_as_entra_wants_them(keys: EntraKeys) -> None:
    assert verifier(keys).scopes_supported == [f"api://{CLIENT}/access_as_user"]


async def test_check_passes_while_keys_are_published(keys: EntraKeys) -> None:
    await verifier(keys).check()


@pytest.mark.parametrize("published", [None, {}, {"keys": []}], ids=["503", "no list", "empty list"])
async def test_check_without_published_keys_fails(published: dict[str, Any] | None) -> None:
    keys = EntraKeys()
    keys.published = published
    with pytest.raises(SigningKeysError):
        await verifier(keys).check()
