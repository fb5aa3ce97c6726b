"""Tokens come from azd, else from the Azure CLI; a refusal of Entra ID is explained."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from ops.credentials import Tokens, developer_credential
from ops.errors import SignInError
from tests.support.azure import FakeCredential
from tests.support.azure.azd import program
from tests.support.azure.world import TENANT

if TYPE_CHECKING:
    from pathlib import Path

SCOPE = "https://graph.microsoft.com/.default"
NOT_SIGNED_IN = "echo 'ERROR: not logged in, run `azd auth login` to login' >&2; exit 1"
TOKEN_OF_AZ = 'echo \'{"accessToken": "of az", "expires_on": 4102444800}\''


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def token() -> str:
    return Tokens(developer_credential(TENANT)).get(SCOPE)


def test_azd_comes_first(programs: Path) -> None:
    program(programs, "azd", 'echo \'{"token": "of azd", "expiresOn": "2099-01-01T00:00:00Z"}\'')
    program(programs, "az", TOKEN_OF_AZ)
    assert token() == "of azd"


def test_azure_cli_is_used_when_nobody_is_signed_in_to_azd(programs: Path) -> None:
    program(programs, "azd", NOT_SIGNED_IN)
    program(programs, "az", TOKEN_OF_AZ)
    assert token() == "of az"


def test_nobody_signed_in_is_told_how_to(programs: Path) -> None:
    program(programs, "azd", NOT_SIGNED_IN)
    with pytest.raises(SignInError, match="azd auth login"):
        token()


def test_blocked_token_is_explained(programs: Path) -> None:
    said = '{\\"error\\": \\"AADSTS530084: Access has been blocked by conditional access token protection policy.\\"}'
    program(programs, "azd", f'echo "{said}" >&2; exit 1')
    with pytest.raises(SignInError, match=r"(?s)AADSTS530084.*federated credential"):
        token()


def test_token_is_kept_until_shortly_before_it_expires() -> None:
    class Counting(FakeCredential):
        """Gives tokens of a lifetime, and counts."""

        lifetime = 3600.0
        given = 0

        def get_token(self, *scopes: str, **_: object) -> AccessToken:
            self.given += len(scopes)
            return AccessToken("x", int(time.time() + self.lifetime))

    credential = Counting(TENANT)
    tokens = Tokens(credential)
    tokens.get(SCOPE)
    tokens.get(SCOPE)
    tokens.get("another")
    assert credential.given == 2
    credential.lifetime = 60
    tokens = Tokens(credential)
    tokens.get(SCOPE)
    tokens.get(SCOPE)
    assert credential.given == 4


def test_claims_of_a_token_that_is_none_are_empty() -> None:
    class Opaque(FakeCredential):
        """Gives what cannot be read."""

        def get_token(self, *scopes: str, **_: object) -> AccessToken:
            return AccessToken(f"opaque-{len(scopes)}", 4102444800)

    assert Tokens(Opaque(TENANT)).claims(SCOPE) == {}


def test_refusal_of_entra_names_the_resource_and_not_the_token() -> None:
    class Refused(FakeCredential):
        """Is refused."""

        def get_token(self, *scopes: str, **_: object) -> AccessToken:
            raise ClientAuthenticationError(f"AADSTS70043: The refresh token for {scopes[0]} has expired.")

    with pytest.raises(SignInError, match=r"(?s)https://graph\.microsoft\.com: .*AADSTS70043.*Sign in again"):
        Tokens(Refused(TENANT)).get(SCOPE)
