"""The APIs beside Entra itself: the managed identity endpoint and Microsoft Graph."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from local.config import IDENTITY_HEADER
from local.entra.registration import TOKEN_EXCHANGE_AUDIENCE, ManagedIdentity
from local.entra.scopes import GRAPH_APP_ID

if TYPE_CHECKING:
    import httpx2

    from tests.support.standins import StandIns

IDENTITY = ManagedIdentity()
QUERY = {
    "api-version": "2019-08-01",
    "resource": "https://vault.azure.net",
    "client_id": IDENTITY.client_id,
}
HEADERS = {"X-IDENTITY-HEADER": IDENTITY_HEADER}


@pytest.mark.parametrize(
    "ids",
    [
        {"client_id": IDENTITY.client_id},
        {"client_id": IDENTITY.client_id.upper()},
        {"principal_id": IDENTITY.principal_id},
        {"mi_res_id": IDENTITY.resource_id},
    ],
)
def test_managed_identity_answers_token_of_protocol(http: httpx2.Client, ids: dict[str, str]) -> None:
    query = {name: value for name, value in QUERY.items() if name != "client_id"}
    answer = http.get("/msi/token", params={**query, **ids}, headers=HEADERS).raise_for_status().json()
    assert answer["token_type"] == "Bearer"
    assert answer["resource"] == "https://vault.azure.net"
    assert int(answer["expires_on"]) > time.time() + 3600
    assert answer["client_id"] == IDENTITY.client_id


@pytest.mark.parametrize(
    ("resource", "issuer", "version"),
    [
        ("https://vault.azure.net", "https://sts.windows.net/{tenant}/", "1.0"),
        ("https://storage.azure.com/", "https://sts.windows.net/{tenant}/", "1.0"),
        ("https://graph.microsoft.com", "https://sts.windows.net/{tenant}/", "1.0"),
        (TOKEN_EXCHANGE_AUDIENCE, "{entra}/{tenant}/v2.0", "2.0"),
    ],
)
def test_managed_identity_token_is_for_the_asked_resource(
    standins: StandIns, http: httpx2.Client, resource: str, issuer: str, version: str
) -> None:
    answer = http.get("/msi/token", params={**QUERY, "resource": resource}, headers=HEADERS).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["aud"] == resource
    assert claims["iss"] == issuer.format(tenant=standins.tenant_id, entra=standins.entra_url)
    assert claims["ver"] == version
    assert claims["sub"] == claims["oid"] == IDENTITY.principal_id
    assert claims["idtyp"] == "app"


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({}, {}, 401),
        ({}, {"X-IDENTITY-HEADER": "wrong"}, 401),
        ({"api-version": ""}, HEADERS, 400),
        ({"api-version": "2017-09-01"}, HEADERS, 400),
        ({"resource": ""}, HEADERS, 400),
        ({"resource": "https://unknown.example"}, HEADERS, 400),
        ({"client_id": ""}, HEADERS, 400),
        ({"client_id": "33333333-3333-4333-8333-333333333333"}, HEADERS, 400),
        ({"mi_res_id": "/subscriptions/another"}, HEADERS, 400),
    ],
)
def test_managed_identity_refuses_faulty_request(
    http: httpx2.Client, query: dict[str, str], headers: dict[str, str], status: int
) -> None:
    answer = http.get("/msi/token", params={**QUERY, **query}, headers=headers)
    assert answer.status_code == status
    assert answer.json()["statusCode"] == status
    assert "access_token" not in answer.text


def test_user_assigned_identity_has_to_be_named(http: httpx2.Client) -> None:
    query = {name: value for name, value in QUERY.items() if name != "client_id"}
    answer = http.get("/msi/token", params=query, headers=HEADERS)
    assert answer.status_code == 400
    assert "ClientId/ResourceId/PrincipalId" in answer.json()["message"]


def _graph_token(standins: StandIns, account: str = "user", **changes: Any) -> str:  # noqa: ANN401 - any claim
    """A token as the on-behalf-of grant issues it, with claims changed."""
    return standins.token(account, **{"aud": GRAPH_APP_ID, "ver": "1.0", "scp": "User.Read", **changes})


def _me(http: httpx2.Client, token: str, **query: str) -> httpx2.Response:
    return http.get("/graph/v1.0/me", params=query, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(("account", "name"), [("user", "Local User"), ("admin", "Local Admin")])
def test_me_answers_the_tokens_user(standins: StandIns, http: httpx2.Client, account: str, name: str) -> None:
    profile = _me(http, _graph_token(standins, account)).raise_for_status().json()
    assert profile["@odata.context"].endswith("/v1.0/$metadata#users/$entity")
    assert profile["displayName"] == name
    assert profile["userPrincipalName"] == profile["mail"] == f"{account}@local.example"
    assert set(profile) == {
        *("@odata.context", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone"),
        *("officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id"),
    }


def test_me_answers_selected_properties(standins: StandIns, http: httpx2.Client) -> None:
    answer = _me(http, _graph_token(standins), **{"$select": "displayName, id"})
    assert set(answer.json()) == {"@odata.context", "displayName", "id"}


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic abc", "Bearer not-a-token"])
def test_me_without_token_is_unauthorized(http: httpx2.Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = http.get("/graph/v1.0/me", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert set(answer.json()["error"]["innerError"]) == {"date", "request-id", "client-request-id"}
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("claims", "status", "code"),
    [
        ({"aud": "22222222-2222-4222-8222-222222222222"}, 401, "InvalidAuthenticationToken"),
        ({"exp": 1}, 401, "InvalidAuthenticationToken"),
        ({"nbf": 4_000_000_000}, 401, "InvalidAuthenticationToken"),
        ({"scp": "Mail.Read"}, 403, "Authorization_RequestDenied"),
        ({"scp": None}, 403, "Authorization_RequestDenied"),
        ({"oid": "00000000-0000-0000-0000-000000000000"}, 403, "Authorization_RequestDenied"),
        ({"idtyp": "app"}, 400, "BadRequest"),
    ],
)
def test_me_refuses_token_with_wrong_claims(
    standins: StandIns, http: httpx2.Client, claims: dict[str, Any], status: int, code: str
) -> None:
    answer = _me(http, _graph_token(standins, **claims))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_userinfo_answers_subject_and_name(standins: StandIns, http: httpx2.Client) -> None:
    token = _graph_token(standins, scp="openid profile email")
    answer = http.get("/graph/oidc/userinfo", headers={"Authorization": f"Bearer {token}"}).json()
    assert answer["name"] == "Local User"
    assert answer["email"] == "user@local.example"
    assert http.get("/graph/oidc/userinfo").status_code == 401
