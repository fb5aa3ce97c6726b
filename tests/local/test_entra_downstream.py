"""The grants that reach another API: on behalf of a user, and as the application itself."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from local.entra.registration import Registration
from local.entra.scopes import GRAPH_APP_ID
from local.entra.tenants import OTHER_TENANT
from tests.support.token_requests import GRAPH_SCOPE, Form, claims_of, failed, on_behalf_of_form, post, tokens_of

if TYPE_CHECKING:
    import httpx2

    from tests.support.standins import StandIns

PRINCIPAL = Registration(client_id="", tenant_id="", identifier_uri="", redirect_uris=()).principal_id


@pytest.mark.parametrize("scope", [GRAPH_SCOPE, "User.Read", "https://graph.microsoft.com/.default"])
def test_on_behalf_of_answers_graph_token_of_the_user(standins: StandIns, http: httpx2.Client, scope: str) -> None:
    tokens = tokens_of(post(standins, http, on_behalf_of_form(standins, scope=scope)))
    claims = claims_of(tokens["access_token"])
    assert claims["aud"] == GRAPH_APP_ID
    assert claims["ver"] == "1.0"
    assert claims["iss"] == f"https://sts.windows.net/{standins.tenant_id}/"
    assert claims["appid"] == standins.client_id
    assert "User.Read" in claims["scp"].split()
    assert "roles" not in claims
    assert scope in tokens["scope"].split()
    assert "refresh_token" not in tokens


def test_on_behalf_of_without_any_consent_is_refused(own_standins: StandIns) -> None:
    with own_standins.http() as http:
        form = {**on_behalf_of_form(own_standins, "admin"), "assertion": own_standins.token("user")}
        document = failed(post(own_standins, http, form), 65001, "invalid_grant")
        assert document["suberror"] == "consent_required"
        own_standins.sign_in("user", scope=f"{own_standins.api_scope} openid profile")
        failed(post(own_standins, http, form), 65001, "invalid_grant")
        own_standins.sign_in("user")
        tokens_of(post(own_standins, http, form))


def test_on_behalf_of_grants_what_sign_in_consented_to(standins: StandIns, http: httpx2.Client) -> None:
    scope = "https://graph.microsoft.com/Calendars.Read"
    missing = failed(post(standins, http, on_behalf_of_form(standins, "admin", scope=scope)), 65001, "invalid_grant")
    assert missing["suberror"] == "consent_required"
    standins.sign_in("admin", scope=f"{standins.api_scope} Calendars.Read")
    claims = claims_of(
        tokens_of(post(standins, http, on_behalf_of_form(standins, "admin", scope=scope)))["access_token"]
    )
    assert claims["scp"] == "Calendars.Read"


@pytest.mark.parametrize(
    ("account", "code", "error", "suberror", "challenged"),
    [
        ("unconsented", 65001, "invalid_grant", "consent_required", False),
        ("stepup", 50076, "interaction_required", "basic_action", True),
    ],
)
def test_on_behalf_of_demands_interaction(
    standins: StandIns, http: httpx2.Client, account: str, code: int, error: str, suberror: str, challenged: bool
) -> None:
    document = failed(post(standins, http, on_behalf_of_form(standins, account)), code, error)
    assert document["suberror"] == suberror
    assert ("claims" in document) == challenged


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": GRAPH_APP_ID}, 500131),
        ({"aud": "33333333-3333-4333-8333-333333333333"}, 500131),
        ({"exp": 1}, 500133),
        ({"exp": None}, 50013),
        ({"nbf": 4_000_000_000}, 50013),
        ({"iss": "https://evil.example/v2.0"}, 50013),
        ({"tid": OTHER_TENANT}, 50013),
        ({"oid": "00000000-0000-0000-0000-000000000000"}, 50013),
        ({"scp": None}, 240002),
        (
            {
                "scp": None,
                "oid": PRINCIPAL,
            },
            7000114,
        ),
    ],
)
def test_on_behalf_of_refuses_assertion_with_wrong_claims(
    standins: StandIns, http: httpx2.Client, claims: dict[str, Any], code: int
) -> None:
    form = on_behalf_of_form(standins, assertion=standins.token("user", **claims))
    failed(post(standins, http, form), code, "invalid_grant")


def _forged(standins: StandIns, how: str) -> str:
    token = standins.token("user")
    header, payload, signature = token.split(".")
    if how == "unsigned":
        headers = {**jwt.get_unverified_header(token), "alg": "none"}
        return f"{base64.urlsafe_b64encode(json.dumps(headers).encode()).decode().rstrip('=')}.{payload}."
    if how == "other key":
        return jwt.encode(claims_of(token), "x" * 32, algorithm="HS256", headers={"kid": "unknown"})
    if how == "signature":
        return f"{header}.{payload}.{'A' * len(signature)}"
    if how == "payload":
        claims = claims_of(token) | {"oid": "aaaaaaaa-0002-4000-8000-000000000002"}
        other = jwt.encode(claims, "x" * 32, algorithm="HS256").split(".")[1]
        return f"{header}.{other}.{signature}"
    return how


@pytest.mark.parametrize("how", ["unsigned", "other key", "signature", "payload", "not a token", "a.b.c"])
def test_on_behalf_of_refuses_forged_assertion(standins: StandIns, http: httpx2.Client, how: str) -> None:
    failed(post(standins, http, on_behalf_of_form(standins, assertion=_forged(standins, how))), 50013, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "code", "error"),
    [
        ({"assertion": None}, 900144, "invalid_request"),
        ({"requested_token_use": None}, 900144, "invalid_request"),
        ({"requested_token_use": "else"}, 90023, "invalid_request"),
        ({"scope": None}, 900144, "invalid_request"),
        (
            {"scope": f"{GRAPH_SCOPE} api://22222222-2222-4222-8222-222222222222/access_as_user"},
            28000,
            "invalid_request",
        ),
    ],
)
def test_faulty_on_behalf_of_request_is_refused(
    standins: StandIns, http: httpx2.Client, changes: Form, code: int, error: str
) -> None:
    failed(post(standins, http, on_behalf_of_form(standins, changes=changes)), code, error)


def test_on_behalf_of_in_another_tenant_is_refused(standins: StandIns, http: httpx2.Client) -> None:
    failed(post(standins, http, on_behalf_of_form(standins), segment=OTHER_TENANT), 50013, "invalid_grant")


def test_client_credentials_answer_app_only_token(standins: StandIns, http: httpx2.Client) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": f"api://{standins.client_id}/.default"}
    tokens = tokens_of(post(standins, http, form))
    assert set(tokens) == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    claims = claims_of(tokens["access_token"])
    assert claims["oid"] == claims["sub"]
    assert not claims.keys() & {"scp", "name", "preferred_username", "idtyp"}
    failed(
        post(standins, http, on_behalf_of_form(standins, assertion=tokens["access_token"])), 7000114, "invalid_grant"
    )


@pytest.mark.parametrize(
    ("scope", "segment", "code", "error"),
    [
        (None, None, 900144, "invalid_request"),
        (GRAPH_SCOPE, None, 1002012, "invalid_scope"),
        ("openid", None, 1002012, "invalid_scope"),
        ("https://graph.microsoft.com/.default", "organizations", 50059, "invalid_request"),
        ("https://graph.microsoft.com/.default", OTHER_TENANT, 700016, "unauthorized_client"),
        ("https://unknown.example/.default", None, 500011, "invalid_resource"),
    ],
)
def test_faulty_client_credentials_are_refused(
    standins: StandIns, http: httpx2.Client, scope: str | None, segment: str | None, code: int, error: str
) -> None:
    form: Form = {"grant_type": "client_credentials", "scope": scope}
    failed(post(standins, http, form, segment=segment), code, error)
