"""Metadata documents of the Entra stand-in: shapes, tenants, keys, and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import jwt
import pytest

from local.config import TENANT_ID
from local.entra.tenants import CONSUMERS_TENANT, OTHER_TENANT

if TYPE_CHECKING:
    from tests.support.standins import StandIns

CONFIGURATION = "/{}/v2.0/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("segment", "issuer"),
    [
        (TENANT_ID, TENANT_ID),
        (TENANT_ID.upper(), TENANT_ID),
        (OTHER_TENANT, OTHER_TENANT),
        ("organizations", "{tenantid}"),
        ("common", "{tenantid}"),
        ("consumers", CONSUMERS_TENANT),
        (CONSUMERS_TENANT, CONSUMERS_TENANT),
    ],
)
def test_configuration_names_issuer_of_tenant(
    standins: StandIns, http: httpx2.Client, segment: str, issuer: str
) -> None:
    document = http.get(CONFIGURATION.format(segment)).raise_for_status().json()
    base = f"{standins.entra_url}/{segment.lower()}"
    assert document["issuer"] == f"{standins.entra_url}/{issuer}/v2.0"
    assert document["token_endpoint"] == f"{base}/oauth2/v2.0/token"
    assert document["authorization_endpoint"] == f"{base}/oauth2/v2.0/authorize"
    assert document["jwks_uri"] == f"{base}/discovery/v2.0/keys"
    assert document["end_session_endpoint"] == f"{base}/oauth2/v2.0/logout"
    assert document["subject_types_supported"] == ["pairwise"]


def test_jwks_uri_serves_keys_that_verify_tokens(standins: StandIns, http: httpx2.Client) -> None:
    uri = http.get(CONFIGURATION.format("organizations")).json()["jwks_uri"]
    keys = http.get(uri).raise_for_status().json()["keys"]
    assert all(key["kty"] == "RSA" and key["use"] == "sig" and "d" not in key for key in keys)
    assert {key["issuer"] for key in keys} == {f"{standins.entra_url}/{{tenantid}}/v2.0"}
    token = standins.token()
    (key,) = (key for key in keys if key["kid"] == jwt.get_unverified_header(token)["kid"])
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], audience=standins.client_id)
    assert claims["iss"] == standins.issuer


@pytest.mark.parametrize("segment", ["unknown", "44444444-4444-4444-8444-444444444444", "contoso.onmicrosoft.com"])
@pytest.mark.parametrize("path", [CONFIGURATION, "/{}/discovery/v2.0/keys"])
def test_unknown_tenant_answers_aadsts90002(http: httpx2.Client, path: str, segment: str) -> None:
    answer = http.get(path.format(segment))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_tenant"
    assert answer.json()["error_codes"] == [90002]
    assert f"Tenant '{segment}' not found" in answer.json()["error_description"]


def test_instance_discovery_names_this_authority(standins: StandIns, http: httpx2.Client) -> None:
    document = http.get("/common/discovery/instance", params={"api-version": "1.1"}).json()
    assert document["metadata"][0]["aliases"] == [standins.authority]
    assert http.get(document["tenant_discovery_endpoint"]).status_code == 200


def test_health_answers_on_every_listener(standins: StandIns, http: httpx2.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert httpx2.get(f"{standins.sign_in_url}/healthz").json() == {"status": "ok"}
    assert http.get(f"{standins.vault_url}/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", CONFIGURATION.format("common"), "/_local/accounts"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:x"])
def test_foreign_host_header_is_misdirected(http: httpx2.Client, path: str, host: str) -> None:
    assert http.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:7080", "127.0.0.1:1", "[::1]", "[::1]:7443"])
def test_loopback_host_header_is_served(http: httpx2.Client, host: str) -> None:
    assert http.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/organizations/oauth2/v2.0/token", CONFIGURATION.format("common"), "/_local/accounts", "/msi/token"]
)
def test_plain_listener_serves_pages_alone(standins: StandIns, path: str) -> None:
    assert httpx2.get(f"{standins.sign_in_url}{path}").status_code == 404


def test_responses_name_no_server_software(http: httpx2.Client) -> None:
    assert "server" not in http.get("/healthz").headers
