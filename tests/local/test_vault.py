"""The Key Vault stand-in, through Microsoft's client where it can say it, and over plain HTTP where it cannot."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.config import IDENTITY_CLIENT_ID
from tests.support.vault import RESOURCE, vault_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx2

    from tests.support.standins import StandIns

API = {"api-version": "7.4"}
VERSIONS = "/secrets/jwt-signing-key/versions"


@pytest.fixture
async def client(standins: StandIns) -> AsyncIterator[SecretClient]:
    async with vault_client(standins) as one:
        yield one


@pytest.fixture
async def reader(standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SecretClient]:
    """The vault as the app sees it: through its managed identity."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, standins.environment()[name])
    bundle = str(standins.bundle)
    async with (
        ManagedIdentityCredential(client_id=IDENTITY_CLIENT_ID, connection_verify=bundle) as credential,
        SecretClient(
            standins.vault_url,
            credential,
            verify_challenge_resource=False,
            connection_verify=bundle,
            retry_total=0,
        ) as secret_client,
    ):
        yield secret_client


@pytest.fixture
def bearer(standins: StandIns) -> dict[str, str]:
    return {"Authorization": f"Bearer {standins.token('admin', aud=RESOURCE)}"}


async def test_vault_starts_with_both_secrets(standins: StandIns, reader: SecretClient) -> None:
    key = await reader.get_secret("jwt-signing-key")
    assert len(base64.b64decode(key.value or "", validate=True)) == 32
    assert (await reader.get_secret("entra-client-secret")).value == standins.client_secret
    assert key.properties.enabled
    assert key.properties.recovery_level == "Recoverable+Purgeable"
    assert key.id == f"{standins.vault_url}/secrets/jwt-signing-key/{key.properties.version}"


async def test_managed_identity_lists_and_reads_but_does_not_write(reader: SecretClient) -> None:
    assert [one async for one in reader.list_properties_of_secret_versions("jwt-signing-key")]
    with pytest.raises(HttpResponseError) as caught:
        await reader.set_secret("jwt-signing-key", "mine")
    assert caught.value.status_code == 403
    assert caught.value.error
    assert caught.value.error.innererror == {"code": "ForbiddenByRbac"}


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_caller_without_a_role_is_forbidden_and_told_who_it_is(
    standins: StandIns, http: httpx2.Client, method: str
) -> None:
    headers = {"Authorization": f"Bearer {standins.token('user', aud=RESOURCE)}"}
    body = {"value": "mine"} if method == "PUT" else None
    url = f"{standins.vault_url}/secrets/jwt-signing-key"
    answer = http.request(method, url, params=API, headers=headers, json=body)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["code"], error["innererror"]) == ("Forbidden", {"code": "ForbiddenByRbac"})
    action = "getSecret" if method == "GET" else "setSecret"
    for part in (
        *("Caller is not authorized to perform action on resource.\r\n", f"secrets/{action}/action'"),
        *("oid=aaaaaaaa-0001-4000-8000-000000000001", "/secrets/jwt-signing-key'", "Assignment: (not found)"),
    ):
        assert part in error["message"]
    assert "www-authenticate" not in answer.headers


async def test_new_version_becomes_the_newest_and_old_one_stays(client: SecretClient) -> None:
    first = await client.set_secret("rotated", "one", tags={"round": "1"}, content_type="text/plain")
    second = await client.set_secret("rotated", "two")
    assert (await client.get_secret("rotated")).value == "two"
    old = await client.get_secret("rotated", first.properties.version)
    assert (old.value, old.properties.tags, old.properties.content_type) == ("one", {"round": "1"}, "text/plain")
    versions = [one.version async for one in client.list_properties_of_secret_versions("rotated")]
    assert versions == [first.properties.version, second.properties.version]


async def test_names_ignore_case(client: SecretClient) -> None:
    await client.set_secret("Mixed-Case", "one")
    await client.set_secret("mixed-case", "two")
    assert (await client.get_secret("MIXED-CASE")).value == "two"


async def test_properties_are_kept(client: SecretClient) -> None:
    expires = datetime(2040, 1, 1, tzinfo=UTC)
    await client.set_secret("described", "value", tags={"b": "2"}, content_type="x", expires_on=expires)
    properties = (await client.get_secret("described")).properties
    assert (properties.expires_on, properties.tags, properties.content_type) == (expires, {"b": "2"}, "x")
    assert properties.created_on
    assert properties.updated_on
    assert properties.updated_on >= properties.created_on


async def test_expired_secret_is_still_readable(client: SecretClient) -> None:
    await client.set_secret("expired", "value", expires_on=datetime(2000, 1, 1, tzinfo=UTC))
    assert (await client.get_secret("expired")).value == "value"


async def test_disabled_version_is_forbidden_and_listed(client: SecretClient) -> None:
    version = (await client.set_secret("disabled", "one", enabled=False)).properties.version
    for asked in (None, version):
        with pytest.raises(HttpResponseError) as caught:
            await client.get_secret("disabled", asked)
        assert caught.value.status_code == 403
        assert caught.value.error
        assert caught.value.error.innererror == {"code": "SecretDisabled"}
    assert [one.enabled async for one in client.list_properties_of_secret_versions("disabled")] == [False]


@pytest.mark.parametrize(("name", "version"), [("absent", None), ("jwt-signing-key", "0" * 32)])
async def test_absent_secret_is_not_found(client: SecretClient, name: str, version: str | None) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        await client.get_secret(name, version)
    assert caught.value.error
    assert caught.value.error.code == "SecretNotFound"


async def test_versions_are_paged(client: SecretClient) -> None:
    made = [(await client.set_secret("paged", str(number))).properties.version for number in range(27)]
    assert [one.version async for one in client.list_properties_of_secret_versions("paged")] == made
    pages = client.list_properties_of_secret_versions("paged", max_page_size=2).by_page()
    listed = [[one.version async for one in page] async for page in pages]
    assert [len(page) for page in listed] == [2] * 13 + [1]
    assert [version for page in listed for version in page] == made


def test_request_without_token_is_challenged(standins: StandIns, http: httpx2.Client) -> None:
    answer = http.get(f"{standins.vault_url}/secrets/jwt-signing-key/", params=API)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer authorization="{standins.entra_url}/{standins.tenant_id}", resource="https://vault.azure.net"'
    )
    assert answer.json()["error"]["code"] == "Unauthorized"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://graph.microsoft.com"},
        {"aud": "22222222-2222-4222-8222-222222222222"},
        {"iss": "https://sts.windows.net/33333333-3333-4333-8333-333333333333/"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
)
def test_token_with_wrong_claims_is_refused(standins: StandIns, http: httpx2.Client, claims: dict[str, Any]) -> None:
    token = standins.token("user", **{"aud": "https://vault.azure.net", **claims})
    headers = {"Authorization": f"Bearer {token}"}
    answer = http.get(f"{standins.vault_url}/secrets/jwt-signing-key", params=API, headers=headers)
    assert answer.status_code == 401
    assert "value" not in answer.json()
    assert answer.headers["www-authenticate"].startswith("Bearer authorization=")


@pytest.mark.parametrize("authorization", ["Bearer", "Basic abc", "Bearer abc", "Bearer a.b.c"])
def test_malformed_authorization_is_refused(standins: StandIns, http: httpx2.Client, authorization: str) -> None:
    headers = {"Authorization": authorization}
    assert http.get(f"{standins.vault_url}{VERSIONS}", params=API, headers=headers).status_code == 401


@pytest.mark.parametrize("version", ["7.0", "7.6", "7.6-preview.2", "2025-07-01", "2026-04-01"])
def test_known_api_version_is_served(
    standins: StandIns, http: httpx2.Client, bearer: dict[str, str], version: str
) -> None:
    answer = http.get(f"{standins.vault_url}{VERSIONS}", params={"api-version": version}, headers=bearer)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", VERSIONS, {}, None),
        ("GET", VERSIONS, {"api-version": "1"}, None),
        ("GET", VERSIONS, {**API, "maxresults": "0"}, None),
        ("GET", VERSIONS, {**API, "maxresults": "26"}, None),
        ("GET", VERSIONS, {**API, "maxresults": "x"}, None),
        ("GET", VERSIONS, {**API, "$skiptoken": "x"}, None),
        ("GET", VERSIONS, {**API, "$skiptoken": "eHl6"}, None),
        ("GET", "/secrets/under_score", API, None),
        ("PUT", f"/secrets/{'n' * 128}", API, {"value": "x"}),
        ("PUT", "/secrets/body", API, {}),
        ("PUT", "/secrets/body", API, {"value": 1}),
        ("PUT", "/secrets/body", API, {"value": "x" * 25_601}),
        ("PUT", "/secrets/body", API, {"value": "x", "attributes": {"enabled": "perhaps"}}),
        ("PUT", "/secrets/jwt-signing-key", API, {"value": "x", "tags": ["a"]}),
    ],
)
def test_faulty_request_is_a_bad_parameter(
    standins: StandIns,
    http: httpx2.Client,
    bearer: dict[str, str],
    method: str,
    path: str,
    query: dict[str, str],
    body: dict[str, Any] | None,
) -> None:
    answer = http.request(method, f"{standins.vault_url}{path}", params=query, headers=bearer, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "BadParameter"


def test_error_never_repeats_a_secret_value(standins: StandIns, http: httpx2.Client, bearer: dict[str, str]) -> None:
    body = {"value": ["hunter2"], "tags": {"a": 1}}
    answer = http.put(f"{standins.vault_url}/secrets/body", params=API, headers=bearer, json=body)
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


async def test_secrets_survive_a_crash_and_are_seeded_once(own_standins: StandIns) -> None:
    async with vault_client(own_standins) as client:
        key = (await client.get_secret("jwt-signing-key")).value
        await client.set_secret("entra-client-secret", "rotated")
        own_standins.secret_file.write_text("another secret")
        own_standins.vault.restart()
        assert (await client.get_secret("jwt-signing-key")).value == key
        assert (await client.get_secret("entra-client-secret")).value == "rotated"


async def test_stopped_vault_is_unavailable_and_comes_back(own_standins: StandIns) -> None:
    async with vault_client(own_standins) as client:
        key = (await client.get_secret("jwt-signing-key")).value
        own_standins.vault.kill()
        with pytest.raises(ServiceRequestError):
            await client.get_secret("jwt-signing-key")
        own_standins.vault.start()
        assert (await client.get_secret("jwt-signing-key")).value == key


def test_directory_outage_is_503_and_not_401(own_standins: StandIns) -> None:
    headers = {"Authorization": f"Bearer {own_standins.token('user', aud='https://vault.azure.net')}"}
    own_standins.entra.kill()
    with own_standins.http() as http:
        answer = http.get(f"{own_standins.vault_url}{VERSIONS}", params=API, headers=headers)
        assert answer.status_code == 503
        own_standins.entra.start()
        token = own_standins.token(
            "admin", aud="https://vault.azure.net", iss=f"https://sts.windows.net/{own_standins.tenant_id}/"
        )
        headers = {"Authorization": f"Bearer {token}"}
        assert http.get(f"{own_standins.vault_url}{VERSIONS}", params=API, headers=headers).status_code == 200


async def test_vault_follows_a_rotated_signing_key(own_standins: StandIns) -> None:
    async with vault_client(own_standins) as client:
        await client.get_secret("jwt-signing-key")
    own_standins.control("POST", "/keys/rotate")
    async with vault_client(own_standins) as client:
        assert (await client.get_secret("jwt-signing-key")).value
