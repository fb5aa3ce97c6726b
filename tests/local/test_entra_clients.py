"""Microsoft's own clients, and FastMCP's verifier, against the Entra stand-in over real TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential
from azure.identity.aio import OnBehalfOfCredential
from fastmcp.server.auth.providers.azure import AzureJWTVerifier

from local.config import IDENTITY_CLIENT_ID
from local.entra.registration import TOKEN_EXCHANGE_AUDIENCE
from tests.support.standins import REDIRECT_URI, StandIns, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAPH_SCOPE = "https://graph.microsoft.com/User.Read"


@pytest.fixture
def confidential(standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MSAL's confidential client; untyped upstream, hence Any."""
    # MSAL would leave its session open, which the test run rightly reports.
    import requests

    # The variable, which the app is configured with, too, wins over `session.verify`.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(standins.bundle))
    with requests.Session() as session:
        yield msal.ConfidentialClientApplication(
            standins.client_id,
            client_credential=standins.client_secret,
            authority=f"{standins.entra_url}/{standins.tenant_id}",
            instance_discovery=False,
            http_client=session,
        )


@pytest.fixture
def identity_endpoint(standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID"):
        monkeypatch.setenv(name, standins.environment()[name])


@pytest.fixture
def identity(standins: StandIns, identity_endpoint: None) -> Iterator[ManagedIdentityCredential]:
    with ManagedIdentityCredential(client_id=IDENTITY_CLIENT_ID, connection_verify=str(standins.bundle)) as identity:
        yield identity


@pytest.fixture
def verifier(standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> AzureJWTVerifier:
    monkeypatch.setenv("SSL_CERT_FILE", str(standins.bundle))
    return AzureJWTVerifier(
        client_id=standins.client_id,
        tenant_id=standins.tenant_id,
        required_scopes=["access_as_user"],
        base_authority=standins.authority,
    )


def _msal_sign_in(standins: StandIns, confidential: Any, account: str = "user") -> dict[str, Any]:  # noqa: ANN401 - untyped
    flow = confidential.initiate_auth_code_flow(
        [standins.api_scope], redirect_uri=REDIRECT_URI, response_mode="form_post"
    )
    url = flow["auth_uri"].replace(standins.entra_url, standins.sign_in_url)
    return confidential.acquire_token_by_auth_code_flow(flow, choose(url, account=account))


def test_msal_signs_in_with_code_flow_and_knows_the_account(standins: StandIns, confidential: Any) -> None:  # noqa: ANN401 - untyped
    result = _msal_sign_in(standins, confidential, "admin")
    assert "error" not in result, result
    assert result["id_token_claims"]["preferred_username"] == "admin@local.example"
    (account,) = confidential.get_accounts()
    assert account["home_account_id"].endswith(f".{standins.tenant_id}")


def test_msal_refreshes_silently(standins: StandIns, confidential: Any) -> None:  # noqa: ANN401 - untyped
    first = _msal_sign_in(standins, confidential)
    (account,) = confidential.get_accounts()
    cached = confidential.acquire_token_silent([standins.api_scope], account=account)
    assert cached["access_token"] == first["access_token"]
    fresh = confidential.acquire_token_silent([standins.api_scope], account=account, force_refresh=True)
    assert fresh["access_token"] != first["access_token"]


@pytest.mark.parametrize("scope", [GRAPH_SCOPE, "https://graph.microsoft.com/.default"])
def test_msal_acts_on_behalf_of_user(standins: StandIns, confidential: Any, scope: str) -> None:  # noqa: ANN401 - untyped
    standins.sign_in()  # consents to Microsoft Graph
    assertion = _msal_sign_in(standins, confidential)["access_token"]
    result = confidential.acquire_token_on_behalf_of(assertion, [scope])
    with standins.http() as http:
        me = http.get("/graph/v1.0/me", headers={"Authorization": f"Bearer {result['access_token']}"})
    assert me.json()["userPrincipalName"] == "user@local.example"


def test_msal_reports_missing_consent(standins: StandIns, confidential: Any) -> None:  # noqa: ANN401 - untyped
    assertion = _msal_sign_in(standins, confidential, "unconsented")["access_token"]
    result = confidential.acquire_token_on_behalf_of(assertion, [GRAPH_SCOPE])
    assert (result["error"], result["suberror"], result["error_codes"]) == (
        "invalid_grant",
        "consent_required",
        [65001],
    )


def test_msal_gets_app_only_token(confidential: Any) -> None:  # noqa: ANN401 - untyped
    result = confidential.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    assert "access_token" in result, result


def test_client_secret_credential_gets_token(standins: StandIns) -> None:
    with ClientSecretCredential(
        standins.tenant_id,
        standins.client_id,
        standins.client_secret,
        authority=standins.entra_url,
        disable_instance_discovery=True,
        connection_verify=str(standins.bundle),
    ) as credential:
        assert credential.get_token("https://vault.azure.net/.default").token.count(".") == 2


def _on_behalf_of(standins: StandIns, assertion: str, **credential: Any) -> OnBehalfOfCredential:  # noqa: ANN401 - untyped
    return OnBehalfOfCredential(
        standins.tenant_id,
        standins.client_id,
        user_assertion=assertion,
        authority=standins.entra_url,
        connection_verify=str(standins.bundle),
        **(credential or {"client_secret": standins.client_secret}),
    )


async def test_on_behalf_of_credential_gets_graph_token(standins: StandIns) -> None:
    async with _on_behalf_of(standins, standins.sign_in_for_token("user")) as credential:
        first = await credential.get_token(GRAPH_SCOPE)
        assert (await credential.get_token(GRAPH_SCOPE)).token == first.token


async def test_on_behalf_of_credential_reports_step_up(standins: StandIns) -> None:
    async with _on_behalf_of(standins, standins.token("stepup")) as credential:
        with pytest.raises(ClientAuthenticationError, match="AADSTS50076"):
            await credential.get_token(GRAPH_SCOPE)


async def test_on_behalf_of_works_without_secret_through_managed_identity(
    standins: StandIns, identity: ManagedIdentityCredential
) -> None:
    def assertion() -> str:
        return identity.get_token(f"{TOKEN_EXCHANGE_AUDIENCE}/.default").token

    user = standins.sign_in_for_token("user")
    async with _on_behalf_of(standins, user, client_assertion_func=assertion) as credential:
        assert (await credential.get_token(GRAPH_SCOPE)).token.count(".") == 2


@pytest.mark.parametrize(
    ("resource", "code"), [(TOKEN_EXCHANGE_AUDIENCE, None), ("https://vault.azure.net", "AADSTS700211")]
)
def test_client_assertion_must_be_for_token_exchange(
    standins: StandIns, identity: ManagedIdentityCredential, resource: str, code: str | None
) -> None:
    with ClientAssertionCredential(
        standins.tenant_id,
        standins.client_id,
        lambda: identity.get_token(resource).token,
        authority=standins.entra_url,
        disable_instance_discovery=True,
        connection_verify=str(standins.bundle),
    ) as credential:
        if code is None:
            assert credential.get_token("https://graph.microsoft.com/.default").token
            return
        with pytest.raises(ClientAuthenticationError, match=code):
            credential.get_token("https://graph.microsoft.com/.default")


@pytest.mark.usefixtures("identity_endpoint")
async def test_async_managed_identity_credential_gets_token(standins: StandIns) -> None:
    async with AsyncManagedIdentityCredential(
        client_id=IDENTITY_CLIENT_ID, connection_verify=str(standins.bundle)
    ) as credential:
        token = await credential.get_token("https://vault.azure.net/.default")
    assert token.token.count(".") == 2


async def test_fastmcp_verifier_accepts_token(standins: StandIns, verifier: AzureJWTVerifier) -> None:
    accepted = await verifier.verify_token(standins.sign_in_for_token("admin"))
    assert accepted is not None
    assert accepted.scopes == ["access_as_user"]
    assert accepted.claims["roles"] == ["Admin"]


@pytest.mark.parametrize(
    "claims", [{"aud": "somebody else"}, {"exp": 1}, {"iss": "https://evil.example"}, {"scp": "other"}]
)
async def test_fastmcp_verifier_refuses_token_with_wrong_claims(
    standins: StandIns, verifier: AzureJWTVerifier, claims: dict[str, Any]
) -> None:
    assert await verifier.verify_token(standins.token("user", **claims)) is None
