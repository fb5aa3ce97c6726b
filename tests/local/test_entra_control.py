"""The control API: faults on demand, revocation, key and secret rotation, tokens with any claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest

from local.entra.errors import KINDS
from tests.support.token_requests import claims_of, code_form, post, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from tests.support.standins import StandIns

CLIENT_CREDENTIALS = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}


@pytest.fixture(autouse=True)
def no_faults_left(standins: StandIns) -> Iterator[None]:
    yield
    standins.control("DELETE", "/faults")


def _ask(standins: StandIns, **form: str) -> httpx2.Response:
    credentials = {"client_id": standins.client_id, "client_secret": standins.client_secret}
    with standins.http() as http:
        return http.post(standins.token_endpoint, data={**credentials, **(form or CLIENT_CREDENTIALS)})


def _secret_works(standins: StandIns, secret: str) -> bool:
    return _ask(standins, **CLIENT_CREDENTIALS, client_secret=secret).status_code == 200


def test_accounts_are_listed_with_key_and_tenant(standins: StandIns) -> None:
    listed = {account["key"]: account for account in standins.control("GET", "/accounts")}
    assert {"user", "admin", "approver", "unconsented", "stepup", "blocked", "other", "personal"} == set(listed)
    assert listed["user"]["tenant_id"] == standins.tenant_id
    assert listed["admin"]["roles"] == ["Admin"]


@pytest.mark.parametrize("code", sorted(KINDS))
def test_fault_answers_any_code_once(standins: StandIns, code: int) -> None:
    standins.control("POST", "/faults", {"code": code})
    answer = _ask(standins)
    assert answer.json()["error_codes"] == [code]
    assert answer.json()["error"] == KINDS[code].error
    assert answer.status_code == KINDS[code].status
    assert answer.json()["error_description"].startswith(f"AADSTS{code}: ")
    assert _ask(standins).status_code == 200


def test_fault_takes_status_error_and_retry_after(standins: StandIns) -> None:
    fault = {"code": 12345, "status": 429, "error": "too_many", "retry_after": 7, "times": 2}
    standins.control("POST", "/faults", fault)
    for _ in range(2):
        answer = _ask(standins)
        assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (429, "too_many", "7")
    assert _ask(standins).status_code == 200


def test_fault_waits_for_its_grant_type(standins: StandIns) -> None:
    standins.control("POST", "/faults", {"code": 50076, "grant_type": "refresh_token"})
    assert _ask(standins).status_code == 200
    refused = _ask(standins, grant_type="refresh_token", refresh_token="any")
    assert refused.json()["error_codes"] == [50076]
    assert "claims" in refused.json()


def test_faults_happen_in_order_and_can_be_cleared(standins: StandIns) -> None:
    for code in (50079, 53003, 90033):
        standins.control("POST", "/faults", {"code": code})
    assert [_ask(standins).json()["error_codes"] for _ in range(2)] == [[50079], [53003]]
    standins.control("DELETE", "/faults")
    assert _ask(standins).status_code == 200


def test_revocation_refuses_older_refresh_tokens_only(own_standins: StandIns) -> None:
    standins = own_standins

    def refresh_token(account: str) -> str:
        with standins.http() as http:
            return tokens_of(post(standins, http, code_form(standins, account)))["refresh_token"]

    revoked, other = refresh_token("user"), refresh_token("admin")
    standins.control("POST", "/accounts/user/revoke")
    renewed = refresh_token("user")
    refused = _ask(standins, grant_type="refresh_token", refresh_token=revoked)
    assert refused.json()["error_codes"] == [50173]
    assert refused.json()["suberror"] == "bad_token"
    for token in (other, renewed):
        assert _ask(standins, grant_type="refresh_token", refresh_token=token).status_code == 200


def test_rotated_key_signs_and_old_one_verifies(own_standins: StandIns) -> None:
    def keys() -> dict[str, Any]:
        with own_standins.http() as http:
            document = http.get(f"/{own_standins.tenant_id}/discovery/v2.0/keys").json()
        return {key["kid"]: jwt.PyJWK(key) for key in document["keys"]}

    old = own_standins.token()
    kid = own_standins.control("POST", "/keys/rotate")["kid"]
    new = own_standins.token()
    assert jwt.get_unverified_header(new)["kid"] == kid != jwt.get_unverified_header(old)["kid"]
    own_standins.entra.restart()
    for token in (old, new):
        key = keys()[jwt.get_unverified_header(token)["kid"]]
        assert jwt.decode(token, key, algorithms=["RS256"], audience=own_standins.client_id)


def test_client_secret_is_rotated_and_stays_removed_after_restart(own_standins: StandIns) -> None:
    (first,) = own_standins.control("GET", "/secrets")
    assert first["hint"] == own_standins.client_secret[:3]
    added = own_standins.control("POST", "/secrets")
    assert _secret_works(own_standins, own_standins.client_secret)
    assert _secret_works(own_standins, added["value"])
    own_standins.control("DELETE", f"/secrets/{first['id']}")
    own_standins.entra.restart()
    refused = _ask(own_standins)
    assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000215])
    assert _secret_works(own_standins, added["value"])
    own_standins.control("POST", "/secrets", {"value": own_standins.client_secret})
    assert _secret_works(own_standins, own_standins.client_secret)


def test_expired_client_secret_answers_its_own_code(standins: StandIns) -> None:
    added = standins.control("POST", "/secrets", {"expires_in": -1})
    refused = _ask(standins, **CLIENT_CREDENTIALS, client_secret=added["value"])
    assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000222])


def test_token_takes_and_loses_claims(standins: StandIns) -> None:
    claims = claims_of(standins.token("admin", ver="1.0", scp=None, groups=["a"]))
    assert (claims["ver"], claims["groups"], claims["name"]) == ("1.0", ["a"], "Local Admin")
    assert "scp" not in claims


def test_token_takes_headers(standins: StandIns) -> None:
    answer = standins.control("POST", "/tokens", {"headers": {"typ": "at+jwt", "kid": "else"}})
    assert jwt.get_unverified_header(answer["access_token"]) == {"alg": "RS256", "kid": "else", "typ": "at+jwt"}


def test_identity_assertion_is_for_one_client_and_takes_claims(standins: StandIns) -> None:
    given = {"client_id": "a client", "audience": "https://mcp.example/", "resource": "https://mcp.example/mcp"}
    sent = standins.assertion("admin", **given, claims={"name": None, "acr": "high"})
    claims = claims_of(sent)
    assert jwt.get_unverified_header(sent)["typ"] == "oauth-id-jag+jwt"
    found = (claims["client_id"], claims["aud"], claims["resource"], claims["scope"], claims["iss"], claims["acr"])
    assert found == (*given.values(), "access_as_user", standins.issuer, "high")
    assert claims["exp"] - claims["iat"] == 300
    assert "name" not in claims


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/faults", {}, 400),
        ("POST", "/faults", {"code": "x"}, 400),
        ("POST", "/faults", {"code": 1, "times": 0}, 400),
        ("POST", "/faults", {"code": 1, "status": 200}, 400),
        ("POST", "/faults", {"code": 1, "unknown": 1}, 400),
        ("POST", "/tokens", {"account": "nobody"}, 404),
        ("POST", "/assertions", {"client_id": "a client"}, 400),
        ("POST", "/accounts/nobody/revoke", None, 404),
        ("DELETE", "/secrets/nothing", None, 404),
        ("GET", "/nothing", None, 404),
        ("GET", "/keys/rotate", None, 405),
    ],
)
def test_faulty_request_is_refused(
    standins: StandIns, http: httpx2.Client, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    assert http.request(method, f"/_local{path}", json=body).status_code == status


def test_browser_page_is_refused(http: httpx2.Client) -> None:
    assert http.get("/_local/accounts", headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_body_that_is_not_json_is_refused(http: httpx2.Client, media_type: str) -> None:
    answer = http.post("/_local/faults", content=b'{"code": 50076}', headers={"Content-Type": media_type})
    assert answer.status_code == 415
