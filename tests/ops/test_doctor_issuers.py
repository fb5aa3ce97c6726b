"""What an issuer of identity assertions publishes is examined, and what is wrong is found with its remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.azure.world import GROUP, SITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ops.conftest import Ops, Outcome
    from tests.support.azure.world import World

NAME = "MCP_IDENTITY_ASSERTION_ISSUERS"
SETTING = f"az functionapp config appsettings set --name {SITE} --resource-group {GROUP} --settings {NAME}=<issuers>"
METADATA = ".well-known/openid-configuration"
KEY = {"kty": "RSA", "kid": "1", "alg": "RS256", "n": "sXch", "e": "AQAB"}


@pytest.fixture
def issuer(ops: Ops, deployed: World) -> str:
    """One that is in order, and that the deployment trusts."""
    address = f"{ops.cloud.url}/idp"
    deployed.app_settings[NAME] = address
    deployed.issuer |= {METADATA: {"issuer": address, "jwks_uri": f"{address}/keys"}, "keys": {"keys": [KEY]}}
    return address


@pytest.mark.parametrize("key", [KEY, {name: value for name, value in KEY.items() if name != "alg"}])
def test_issuer_in_order_has_nothing_to_mend(
    doctor: Callable[..., Outcome], deployed: World, issuer: str, key: dict[str, str]
) -> None:
    deployed.issuer["keys"] = {"keys": [{"kty": "EC", "kid": "0"}, key]}
    outcome = doctor()
    assert outcome.code == 0, outcome.text
    assert f"{issuer} has keys for RS256" in outcome.text


def test_nothing_is_said_without_the_setting(doctor: Callable[..., Outcome]) -> None:
    assert "identity assertions" not in doctor().text


@pytest.mark.parametrize(
    ("path", "change", "found", "advice"),
    [
        (METADATA, None, "cannot be read from here (HTTPStatusError)", "curl -i https://"),
        ("keys", None, "/idp/keys' cannot be read from here (HTTPStatusError)", "curl -i https://"),
        (METADATA, {"issuer": "https://x.example/\x1b"}, r"names the issuer 'https://x.example/\x1b'", "letter by"),
        (METADATA, {"issuer": None}, "names the issuer None", "letter by letter"),
        (METADATA, {"jwks_uri": "http://x.example/keys"}, "'http://x.example/keys' is not https", "at the identity"),
        ("keys", {"keys": [{**KEY, "alg": "RS512"}]}, "no RS256 key with a kid", "at the identity provider"),
        ("keys", {"keys": [{**KEY, "kid": ""}]}, "no RS256 key with a kid", "at the identity provider"),
        ("keys", {"keys": [{**KEY, "kty": "EC"}]}, "no RS256 key with a kid", "at the identity provider"),
        ("keys", {"keys": None}, "no RS256 key with a kid", "at the identity provider"),
    ],
)
def test_fault_of_an_issuer_is_found_with_its_remedy(
    doctor: Callable[..., Outcome],
    deployed: World,
    issuer: str,
    path: str,
    change: dict[str, object] | None,
    found: str,
    advice: str,
) -> None:
    deployed.issuer[path] = None if change is None else deployed.issuer[path] | change
    outcome = doctor()
    assert outcome.code == 1, outcome.text
    assert outcome.text.count("FOUND") == 1, outcome.text
    finding, _, fix = outcome.text.partition("FOUND")[2].partition("fix:")
    assert f"{issuer}: " in finding
    assert found in finding
    assert advice in fix
    assert SETTING in fix


def test_issuer_that_does_not_answer_keeps_no_other_from_being_examined(
    doctor: Callable[..., Outcome], deployed: World, issuer: str
) -> None:
    deployed.app_settings[NAME] = f"https://idp.invalid {issuer}"
    outcome = doctor()
    assert outcome.text.count("FOUND") == 1, outcome.text
    assert "https://idp.invalid: " in outcome.text
    assert "cannot be read from here" in outcome.text
    assert f"{issuer} has keys for RS256" in outcome.text


def test_value_that_is_no_address_is_found_once(doctor: Callable[..., Outcome], deployed: World) -> None:
    deployed.app_settings[NAME] = "idp.example"
    outcome = doctor()
    assert outcome.text.count("FOUND") == 1, outcome.text
    assert f"{NAME}: is not an absolute https:// URL" in outcome.text
