"""How requests and answers of OAuth are written, whatever they are about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.support.forms import Forms

if TYPE_CHECKING:
    from tests.support.oauth import OAuthClient

pytestmark = pytest.mark.asyncio(loop_scope="package")

FORM = {"content-type": "application/x-www-form-urlencoded"}
DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")


@pytest.mark.parametrize("name", ["response_type", "code_challenge", "code_challenge_method", "scope", "nonsense"])
async def test_repeated_parameter_of_an_authorization_is_refused_at_the_client(client: OAuthClient, name: str) -> None:
    await client.register()
    url = (await client.authorize(nonsense="x")).request.url
    answer = client.answer(await client.http.get(f"{url}&{urlencode({name: url.params[name]})}"))
    assert (answer["error"], answer["state"]) == ("invalid_request", client.state)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state"])
async def test_repeated_parameter_that_says_whom_to_answer_is_not_believed(client: OAuthClient, name: str) -> None:
    await client.register()
    url = (await client.authorize()).request.url
    refused = await client.http.get(f"{url}&{urlencode({name: 'https://evil.example/cb'})}")
    assert "evil.example" not in refused.headers.get("location", "")
    if name == "client_id":
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    else:
        # The one redirect URI that the client registered.
        answer = client.answer(refused)
        assert answer["error"] == "invalid_request"
        assert ("state" in answer) is (name == "redirect_uri")


@pytest.mark.parametrize("path", ["/token", "/revoke"])
@pytest.mark.parametrize("name", ["client_id", "grant_type", "refresh_token", "token", "code", "scope", "nonsense"])
async def test_repeated_parameter_of_a_form_is_refused(client: OAuthClient, path: str, name: str) -> None:
    await client.register()
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": client.client_id, "token": "x"}
    body = urlencode([*form.items(), (name, "y"), (name, "y")])
    refused = await client.http.post(path, content=body, headers=FORM)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert refused.json()["error_description"] == f"The parameter {name} came more than once."
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/token", "/revoke", "/consent"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"a=1&" * 60, FORM),
        (b'{"grant_type": "refresh_token"}', {"content-type": "application/json"}),
        (b"--x\r\n" * 900, {"content-type": "multipart/form-data; boundary=x"}),
        (b"grant_type=refresh_token", {}),
    ],
    ids=["too many", "json", "multipart", "untyped"],
)
async def test_form_of_another_kind_is_refused(
    client: OAuthClient, path: str, body: bytes, headers: dict[str, str]
) -> None:
    refused = await client.http.post(path, content=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        ("client_credentials", "unsupported_grant_type"),
        ("password", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:device_code", "unsupported_grant_type"),
        ("", "invalid_request"),
        ("authorization_code", "invalid_request"),
        ("refresh_token", "invalid_request"),
    ],
)
async def test_grant_that_is_unknown_or_incomplete_is_told_apart(client: OAuthClient, grant: str, error: str) -> None:
    await client.register()
    refused = await client.http.post("/token", data={"grant_type": grant, "client_id": client.client_id})
    assert (refused.status_code, refused.json()["error"]) == (400, error)


async def test_error_is_described_in_the_characters_of_the_specification(client: OAuthClient) -> None:
    await client.register()
    hostile = 'x"\\\n\u202e\u00e9'
    answers = [
        await client.http.get("/authorize", params={"client_id": hostile}),
        await client.authorize(client_id=hostile),
        await client.http.post("/token", data={"grant_type": "refresh_token", "client_id": client.client_id}),
        await client.http.post("/token", data={"grant_type": "refresh_token", "client_id": hostile}),
        await client.http.post("/token", data={hostile: ["1", "2"]}),
        await client.http.post("/register", json={"redirect_uris": [hostile], "client_name": 1}),
        await client.http.post("/register", json={"redirect_uris": [client.redirect_uri], "client_name": 1}),
    ]
    for answer in answers:
        assert answer.status_code in {400, 401}
        assert DESCRIPTION.fullmatch(answer.json()["error_description"]), answer.text
    for changes in ({"response_type": hostile}, {"scope": hostile}, {"code_challenge": hostile}):
        told = client.answer(await client.authorize(**changes))
        assert DESCRIPTION.fullmatch(told["error_description"]), told


@pytest.mark.parametrize("path", ["/token", "/revoke"])
async def test_failed_basic_authentication_names_the_scheme(client: OAuthClient, path: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody", "token": "x"}
    refused = await client.http.post(path, data=form, auth=("nobody", "secret"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert "www-authenticate" not in (await client.http.post(path, data=form)).headers


async def test_code_with_another_redirect_uri_is_an_invalid_grant_and_stays_good(client: OAuthClient) -> None:
    code = await client.code()
    for uri in ("http://localhost:53682/other", "http://localhost:53683/callback", "HTTP://localhost:53682/callback"):
        refused = await client.redeem(code, redirect_uri=uri)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant"), uri
    assert (await client.redeem(code)).status_code == 200


async def test_code_without_its_redirect_uri_is_redeemed(client: OAuthClient) -> None:
    code = await client.code()
    assert (await client.redeem(code, redirect_uri="")).status_code == 200


@pytest.mark.parametrize("redirect_uri", ["HTTP://localhost:53682/callback", "http://LOCALHOST:53682/callback"])
async def test_redirect_uri_in_another_form_is_refused(client: OAuthClient, redirect_uri: str) -> None:
    await client.register()
    refused = await client.authorize(redirect_uri=redirect_uri)
    assert (refused.status_code, "location" in refused.headers) == (400, False)


async def test_client_without_a_state_gets_none_back(client: OAuthClient) -> None:
    client.state = ""
    await client.register()
    denied = await client.consent(await client.consent_page(), action="deny")
    refused = await client.authorize(code_challenge="x")
    upstream = await client.consent(await client.consent_page())
    back = await client.callback(upstream.headers["location"])
    for answer in (denied, refused, back):
        assert "state" not in answer.headers["location"]
        assert client.answer(answer)["iss"]


async def test_metadata_says_that_no_endpoint_knows_a_secret(client: OAuthClient) -> None:
    metadata = (await client.http.get("/.well-known/oauth-authorization-server")).json()
    for endpoint in ("token", "revocation"):
        assert metadata[f"{endpoint}_endpoint_auth_methods_supported"] == ["none", "private_key_jwt"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/authorize", {"GET", "HEAD"}),
        ("GET", "/token", {"POST"}),
        ("GET", "/revoke", {"POST"}),
        ("GET", "/register", {"POST"}),
        ("PUT", "/consent", {"GET", "HEAD", "POST"}),
        ("POST", "/auth/callback", {"GET", "HEAD"}),
    ],
)
async def test_other_method_is_told_which_are_allowed(
    client: OAuthClient, method: str, path: str, allowed: set[str]
) -> None:
    refused = await client.http.request(method, path)
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (
            {"error": "access_denied", "error_description": "AADSTS65004: declined"},
            ("access_denied", "(AADSTS65004). The permissions were declined. Sign in again and accept them."),
        ),
        ({"error": "invalid_request", "error_description": "AADSTS90015: long"}, ("server_error", "(AADSTS90015).")),
        ({"error": "login_required"}, ("login_required", "(without a code).")),
        ({"error": "access_denied", "error_description": "Call 0800-1"}, ("access_denied", "(without a code).")),
        ({"error": "Call 0800-1", "error_description": "x"}, ("server_error", "(without a code).")),
    ],
)
async def test_error_of_entra_reaches_the_client_without_its_words(
    client: OAuthClient, sent: dict[str, str], told: tuple[str, str]
) -> None:
    await client.register()
    page = await client.consent_page()
    await client.consent(page)
    answer = client.answer(await client.entra_return({**sent, "state": Forms(page.text).fields["txn_id"]}))
    assert answer["error"] == told[0]
    assert answer["error_description"] == f"Microsoft did not sign the person in {told[1]}"
    assert answer["state"] == client.state
