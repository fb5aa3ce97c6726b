"""The code and refresh grants over HTTP: their tokens, and every error in Entra's own shape."""

from __future__ import annotations

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import quote

import jwt
import pytest

from local.entra.scopes import GRAPH_APP_ID
from local.entra.tenants import CONSUMERS_TENANT, OTHER_TENANT
from tests.support.standins import REDIRECT_URI, StandIns
from tests.support.token_requests import (
    GRAPH_SCOPE,
    Form,
    claims_of,
    code_form,
    failed,
    on_behalf_of_form,
    post,
    tokens_of,
)

if TYPE_CHECKING:
    import httpx2

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def test_code_answers_tokens_as_entra_does(standins: StandIns, http: httpx2.Client) -> None:
    answer = post(standins, http, code_form(standins))
    tokens = tokens_of(answer)
    assert set(tokens) == {
        *("token_type", "scope", "expires_in", "ext_expires_in", "access_token", "refresh_token", "id_token"),
    }
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == standins.api_scope
    assert 3600 <= tokens["expires_in"] == tokens["ext_expires_in"] <= 5400
    assert "no-store" in answer.headers["cache-control"]


def test_api_access_token_has_version_2_claims(standins: StandIns, http: httpx2.Client) -> None:
    tokens = tokens_of(post(standins, http, code_form(standins, "admin")))
    assert jwt.get_unverified_header(tokens["access_token"])["alg"] == "RS256"
    claims = claims_of(tokens["access_token"])
    assert (
        claims.items()
        >= {
            "aud": standins.client_id,
            "iss": standins.issuer,
            "azp": standins.client_id,
            "azpacr": "1",
            "name": "Local Admin",
            "preferred_username": "admin@local.example",
            "scp": "access_as_user",
            "tid": standins.tenant_id,
            "ver": "2.0",
        }.items()
    )
    assert claims["roles"] == ["Admin"]
    assert claims["exp"] - claims["iat"] == tokens["expires_in"]
    assert claims["nbf"] == claims["iat"] <= time.time()
    assert claims.keys() >= {"oid", "sub", "uti", "rh", "sid"}


@pytest.mark.parametrize(
    ("scope", "named"), [("{api} openid profile offline_access", True), ("{api} openid offline_access", False)]
)
def test_api_access_token_names_the_person_only_after_profile_was_asked_for(
    standins: StandIns, http: httpx2.Client, scope: str, *, named: bool
) -> None:
    callback = standins.sign_in(scope=scope.format(api=standins.api_scope))
    form = code_form(standins, code=callback["code"], code_verifier=callback["code_verifier"])
    first = tokens_of(post(standins, http, form))
    refresh: Form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = tokens_of(post(standins, http, refresh))
    third = tokens_of(post(standins, http, {**refresh, "refresh_token": second["refresh_token"]}))
    for tokens in (first, second, third):
        claims = claims_of(tokens["access_token"])
        assert claims.keys() & {"name", "preferred_username"} == ({"name", "preferred_username"} if named else set())
        assert claims.keys() >= {"oid", "tid"}
        assert "idtyp" not in claims


def test_ordinary_user_has_no_roles_claim(standins: StandIns) -> None:
    assert "roles" not in claims_of(standins.token("user"))


def test_subject_is_stable_and_pairwise(standins: StandIns, http: httpx2.Client) -> None:
    api = claims_of(standins.token("user"))
    again = claims_of(standins.token("user"))
    graph = claims_of(tokens_of(post(standins, http, on_behalf_of_form(standins)))["access_token"])
    assert api["sub"] == again["sub"] != graph["sub"]
    assert api["oid"] == graph["oid"]


@pytest.mark.parametrize(
    ("segment", "account", "tenant"),
    [("organizations", "other", OTHER_TENANT), ("consumers", "personal", CONSUMERS_TENANT)],
)
def test_token_carries_the_tenant_of_its_user(
    standins: StandIns, http: httpx2.Client, segment: str, account: str, tenant: str
) -> None:
    original, standins_tenant = standins.tenant_id, segment
    standins.tenant_id = standins_tenant
    try:
        form = code_form(standins, account)
    finally:
        standins.tenant_id = original
    claims = claims_of(tokens_of(post(standins, http, form, segment=segment))["access_token"])
    assert claims["tid"] == tenant
    assert claims["iss"] == f"{standins.entra_url}/{tenant}/v2.0"


def test_id_token_carries_nonce_and_profile(standins: StandIns, http: httpx2.Client) -> None:
    callback = standins.sign_in("user", nonce="a nonce")
    form = code_form(standins, code=callback["code"], code_verifier=callback["code_verifier"])
    claims = claims_of(tokens_of(post(standins, http, form))["id_token"])
    assert claims["nonce"] == "a nonce"
    assert claims["aud"] == standins.client_id
    assert claims["preferred_username"] == "user@local.example"
    assert "scp" not in claims


@pytest.mark.parametrize(
    ("scope", "echo", "has_refresh", "has_id"),
    [
        ("{api}", "{api}", False, False),
        ("{api} openid", "{api}", False, True),
        ("{api} offline_access", "{api}", True, False),
        ("{api_guid}/access_as_user", "{api_guid}/access_as_user", False, False),
        ("{app}/.default", "{app}/access_as_user {app}/.default", False, False),
        ("User.Read", "User.Read", False, False),
        (GRAPH_SCOPE, GRAPH_SCOPE, False, False),
        (f"{GRAPH_SCOPE} openid profile", f"{GRAPH_SCOPE} openid profile", False, True),
        ("openid profile offline_access", "openid profile", True, True),
    ],
)
def test_scope_decides_members_of_the_answer(
    standins: StandIns, http: httpx2.Client, scope: str, echo: str, has_refresh: bool, has_id: bool
) -> None:
    words = {"api": standins.api_scope, "api_guid": standins.client_id, "app": f"api://{standins.client_id}"}
    tokens = tokens_of(post(standins, http, code_form(standins, scope=scope.format(**words))))
    assert tokens["scope"] == echo.format(**words)
    assert ("refresh_token" in tokens, "id_token" in tokens) == (has_refresh, has_id)


@pytest.mark.parametrize("secret", ["in the header", "in the body"])
def test_client_secret_is_accepted_in_body_and_header(standins: StandIns, http: httpx2.Client, secret: str) -> None:
    form = code_form(standins)
    if secret == "in the body":
        tokens_of(post(standins, http, form))
        return
    credentials = f"{quote(standins.client_id)}:{quote(standins.client_secret)}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
    data = {name: value for name, value in form.items() if value}
    tokens_of(http.post(standins.token_endpoint, data=data, headers=headers))


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"code": None}, 900144, "invalid_request"),
        ({"code": "never issued"}, 9002313, "invalid_grant"),
        ({"redirect_uri": None}, 500112, "invalid_client"),
        ({"redirect_uri": f"{REDIRECT_URI}/"}, 500112, "invalid_client"),
        ({"code_verifier": None}, 50148, "invalid_grant"),
        ({"code_verifier": "w" * 43}, 501481, "invalid_grant"),
        ({"scope": None}, 28003, "invalid_request"),
        ({"scope": " "}, 28003, "invalid_request"),
        (
            {"scope": f"api://22222222-2222-4222-8222-222222222222/access_as_user {GRAPH_SCOPE}"},
            28000,
            "invalid_request",
        ),
        ({"scope": "access_as_user"}, 650053, "invalid_client"),
        ({"scope": "/"}, 70011, "invalid_scope"),
        ({"scope": "Mail.Read"}, 65001, "invalid_grant"),
        ({"scope": "api://unknown/x"}, 500011, "invalid_resource"),
        ({"resource": "http://localhost:7071/mcp"}, 9010010, "invalid_target"),
    ],
)
def test_faulty_code_request_is_refused_and_leaves_the_code_good(
    standins: StandIns, http: httpx2.Client, changes: Form, code: int, error: str
) -> None:
    form = code_form(standins)
    failed(post(standins, http, {**form, **changes}), code, error)
    tokens_of(post(standins, http, form))


def test_code_used_twice_is_refused(standins: StandIns, http: httpx2.Client) -> None:
    form = code_form(standins)
    tokens_of(post(standins, http, form))
    failed(post(standins, http, form), 54005, "invalid_grant")


def test_code_used_at_once_is_redeemed_once(standins: StandIns, http: httpx2.Client) -> None:
    form = code_form(standins)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, standins, http, form) for _ in range(16)]
    assert sorted(answer.result().status_code for answer in answers) == [200] + [400] * 15


def test_code_of_another_tenant_path_is_refused(standins: StandIns, http: httpx2.Client) -> None:
    form = code_form(standins)
    for segment in ("organizations", "consumers", OTHER_TENANT):
        failed(post(standins, http, form, segment=segment), 700005, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "code", "error", "status"),
    [
        ({"grant_type": None}, 900144, "invalid_request", 400),
        ({"grant_type": "password"}, 70003, "unsupported_grant_type", 400),
        ({"client_id": None}, 900144, "invalid_request", 400),
        ({"client_id": "33333333-3333-4333-8333-333333333333"}, 700016, "unauthorized_client", 400),
        ({"client_secret": None}, 7000218, "invalid_client", 401),
        ({"client_secret": "wrong"}, 7000215, "invalid_client", 401),
        ({"client_secret": None, "client_assertion": "x"}, 900144, "invalid_request", 400),
        (
            {"client_secret": None, "client_assertion": "x", "client_assertion_type": ASSERTION_TYPE},
            *(700027, "invalid_client", 401),
        ),
    ],
)
def test_unauthenticated_client_is_refused(
    standins: StandIns, http: httpx2.Client, changes: Form, code: int, error: str, status: int
) -> None:
    failed(post(standins, http, {**code_form(standins), **changes}), code, error, status)


def test_error_has_every_member_of_entras(standins: StandIns, http: httpx2.Client) -> None:
    correlation = "11111111-2222-3333-4444-555555555555"
    answer = http.post(standins.token_endpoint, data={}, headers={"client-request-id": correlation})
    document = failed(answer, 900144, "invalid_request")
    assert re.fullmatch(
        r"AADSTS900144: .+ Trace ID: [0-9a-f-]{36} Correlation ID: [0-9a-f-]{36} "
        r"Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ",
        document["error_description"],
    )
    assert document["correlation_id"] == correlation
    assert document["trace_id"] in document["error_description"]
    assert document["timestamp"] in document["error_description"]
    assert document["error_uri"] == f"{standins.entra_url}/error?code=900144"


def test_unknown_tenant_is_refused(standins: StandIns, http: httpx2.Client) -> None:
    failed(post(standins, http, code_form(standins), segment="unknown"), 90002, "invalid_tenant")


def test_refresh_rotates_and_old_token_stays_good(standins: StandIns, http: httpx2.Client) -> None:
    first = tokens_of(post(standins, http, code_form(standins)))["refresh_token"]
    form: Form = {"grant_type": "refresh_token", "refresh_token": first, "scope": standins.api_scope}
    second = tokens_of(post(standins, http, form))
    again = tokens_of(post(standins, http, form))
    assert len({first, second["refresh_token"], again["refresh_token"]}) == 3
    assert claims_of(second["access_token"])["oid"] == claims_of(again["access_token"])["oid"]


def test_refresh_keeps_session_and_may_change_resource(standins: StandIns, http: httpx2.Client) -> None:
    tokens = tokens_of(post(standins, http, code_form(standins)))
    form: Form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": GRAPH_SCOPE}
    graph = claims_of(tokens_of(post(standins, http, form))["access_token"])
    assert graph["aud"] == GRAPH_APP_ID
    assert graph["sid"] == claims_of(tokens["access_token"])["sid"]


@pytest.mark.parametrize("scope", [None, ""])
def test_refresh_without_scope_repeats_the_first(standins: StandIns, http: httpx2.Client, scope: str | None) -> None:
    tokens = tokens_of(post(standins, http, code_form(standins)))
    for _ in range(2):
        form: Form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": scope}
        tokens = tokens_of(post(standins, http, form))
        assert tokens["scope"] == standins.api_scope
        assert "id_token" in tokens


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"refresh_token": None}, 900144, "invalid_request"),
        ({"refresh_token": "never issued"}, 9002313, "invalid_grant"),
        ({"scope": "Mail.Read"}, 65001, "invalid_grant"),
        (
            {"scope": f"api://22222222-2222-4222-8222-222222222222/access_as_user {GRAPH_SCOPE}"},
            28000,
            "invalid_request",
        ),
    ],
)
def test_faulty_refresh_is_refused(
    standins: StandIns, http: httpx2.Client, changes: Form, code: int, error: str
) -> None:
    token = tokens_of(post(standins, http, code_form(standins)))["refresh_token"]
    form: Form = {"grant_type": "refresh_token", "refresh_token": token, "scope": standins.api_scope}
    failed(post(standins, http, {**form, **changes}), code, error)


def test_refresh_in_another_tenant_is_refused(standins: StandIns, http: httpx2.Client) -> None:
    token = tokens_of(post(standins, http, code_form(standins)))["refresh_token"]
    form: Form = {"grant_type": "refresh_token", "refresh_token": token, "scope": standins.api_scope}
    failed(post(standins, http, form, segment=OTHER_TENANT), 70000, "invalid_grant")
