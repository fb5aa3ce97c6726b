"""This server's own tokens: every claim is checked, and a rotation of the key refuses none of them."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from joserfc.errors import JoseError

from entra_mcp.auth.issuer import ACCESS, LEEWAY_SECONDS, REFRESH, RingIssuer, UnknownKeyError
from entra_mcp.vault.keys import KeyRing, RootKey

OLD = RootKey(version="1", material=bytes(range(32)))
NEW = RootKey(version="2", material=bytes(range(1, 33)))
ISSUER, AUDIENCE = "https://mcp.example/", "https://mcp.example/mcp"


class Source:
    """A ring that a test changes."""

    def __init__(self, *keys: RootKey) -> None:
        self.ring = KeyRing(keys)

    async def reread(self) -> None:
        pass


def issuer(*keys: RootKey) -> RingIssuer:
    return RingIssuer(issuer=ISSUER, audience=AUDIENCE, source=Source(*keys), sign_in=lambda: "a-sign-in")


def access_token(of: RingIssuer, **changes: Any) -> str:  # noqa: ANN401 - any claim
    """A good token, with changed claims (None removes one) and signed again."""
    token = of.issue_access_token("client", ["access_as_user"], "an-id", 3600)
    header = jwt.get_unverified_header(token) | changes.pop("header", {})
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, NEW.material, algorithm=header.pop("alg"), headers=header)


def test_token_tells_what_a_verifier_needs_and_nothing_of_the_person() -> None:
    own = issuer(NEW)
    claims = own.verify_token(
        own.issue_access_token("client", ["a", "b"], "an-id", 60, upstream_claims={"name": "Somebody"})
    )
    assert set(claims) == {"iss", "aud", "client_id", "scope", "iat", "nbf", "exp", "jti", "sid", "token_use"}
    assert (claims["scope"], claims["jti"], claims["client_id"]) == ("a b", "an-id", "client")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"iat": None},
        {"nbf": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1_700_000_000},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"iss": None},
        {"iss": "https://other.example/"},
        {"aud": None},
        {"aud": "https://mcp.example"},
        {"aud": [AUDIENCE, "https://other.example"]},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"client_id": None},
        {"token_use": None},
        {"token_use": "refresh"},
        {"header": {"typ": "at+jwt"}},
        {"header": {"typ": None}},
        {"header": {"crit": ["b64"], "b64": True}},
        {"header": {"kid": "00"}},
        {"header": {"kid": ""}},
        {"header": {"alg": "HS512"}},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_token_with_a_faulty_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((JoseError, ValueError)):
        issuer(NEW).verify_token(access_token(issuer(NEW), **changes))


@pytest.mark.parametrize(("name", "offset"), [("exp", 30), ("iat", LEEWAY_SECONDS - 15), ("nbf", LEEWAY_SECONDS - 15)])
def test_clocks_that_differ_a_little_do_not_matter(name: str, offset: int) -> None:
    token = access_token(issuer(NEW), **{name: int(time.time()) + offset})
    assert issuer(NEW).verify_token(token)["jti"] == "an-id"


@pytest.mark.parametrize(("name", "offset"), [("exp", -1), ("iat", 90), ("nbf", 90)])
def test_clocks_that_differ_more_do(name: str, offset: int) -> None:
    with pytest.raises(JoseError):
        issuer(NEW).verify_token(access_token(issuer(NEW), **{name: int(time.time()) + offset}))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "eyJhbGciOiJub25lIn0.e30.", "." * 10_000, "\ud800"])
def test_text_that_is_no_token_is_refused(token: str) -> None:
    with pytest.raises((JoseError, ValueError)):
        issuer(NEW).verify_token(token)


@pytest.mark.parametrize(
    "header",
    [
        '{"alg": "HS256", "crit": 5}',
        '{"alg": "HS256", "crit": null}',
        '{"alg": "HS256", "crit": false}',
        '{"alg": "HS256", "crit": [1]}',
        '{"alg": "HS256", "crit": [{}]}',
        '["alg"]',
        '"alg"',
        "5",
        "null",
    ],
    ids=str,
)
def test_token_whose_header_is_any_json_is_refused(header: str) -> None:
    parts = (header.encode(), b"{}", b"x" * 32)
    with pytest.raises(JoseError):
        issuer(NEW).verify_token(".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts))


def test_token_without_a_signature_is_refused() -> None:
    head = {"kid": NEW.key_id.hex(), "typ": "JWT"}
    unsigned = jwt.encode({"iss": ISSUER}, "", algorithm="none", headers=head)
    with pytest.raises((JoseError, ValueError)):
        issuer(NEW).verify_token(unsigned)


def test_refresh_token_is_no_access_token_and_the_reverse() -> None:
    own = issuer(NEW)
    refresh = own.issue_refresh_token("client", ["a"], "an-id", 60)
    assert own.verify_token(refresh, expected_token_use=REFRESH)["jti"] == "an-id"
    with pytest.raises(JoseError):
        own.verify_token(refresh, expected_token_use=ACCESS)
    with pytest.raises(JoseError):
        own.verify_token(own.issue_access_token("client", ["a"], "an-id"), expected_token_use=REFRESH)


def test_tokens_of_every_key_of_the_ring_are_good_and_the_newest_signs() -> None:
    before, after = issuer(OLD), issuer(NEW, OLD)
    assert after.verify_token(before.issue_access_token("client", [], "old"))["jti"] == "old"
    token = after.issue_access_token("client", [], "new")
    assert jwt.get_unverified_header(token)["kid"] == NEW.key_id.hex()
    with pytest.raises(UnknownKeyError):
        before.verify_token(token)


def test_key_in_its_first_minutes_verifies_and_does_not_sign() -> None:
    young = RootKey(version="3", material=bytes(range(2, 34)), created=time.time())
    own = issuer(young, OLD)
    assert jwt.get_unverified_header(own.issue_access_token("client", [], "x"))["kid"] == OLD.key_id.hex()
    assert own.verify_token(issuer(young).issue_access_token("client", [], "y"))["jti"] == "y"


def test_ring_that_changes_is_followed() -> None:
    source = Source(OLD)
    own = RingIssuer(issuer=ISSUER, audience=AUDIENCE, source=source, sign_in=lambda: "a-sign-in")
    first = own.issue_access_token("client", [], "first")
    source.ring = KeyRing((NEW, OLD))
    assert own.verify_token(first)["jti"] == "first"
    assert jwt.get_unverified_header(own.issue_access_token("client", [], "second"))["kid"] == NEW.key_id.hex()
    source.ring = KeyRing((NEW,))
    with pytest.raises(UnknownKeyError):
        own.verify_token(first)
