"""What a client may register, and that it keeps to it."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from azure.data.tables import TableServiceClient

from entra_mcp.storage.collections import REGISTRATIONS
from entra_mcp.storage.rows import Address
from local.config import CLIENT_ID
from tests.support.oauth import OAuthClient

if TYPE_CHECKING:
    import httpx2

VSCODE = "https://vscode.dev/redirect"
FORM = "application/x-www-form-urlencoded"


async def register(http: httpx2.AsyncClient, *redirect_uris: str, **metadata: Any) -> httpx2.Response:  # noqa: ANN401 - whatever a client sends
    return await http.post("/register", json={"redirect_uris": list(redirect_uris), "client_name": "T", **metadata})


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example/cb",
        "https://vscode.dev.evil.example/redirect",
        "https://evil.example/https://vscode.dev/redirect",
        "https://vscode.dev@evil.example/redirect",
        "https://user:password@vscode.dev/redirect",
        "https://vscode.dev:8443/redirect",
        "https://vscode.dev/redirect/../evil",
        "https://vscode.dev/redirect/",
        "https://vscode.dev/redirect?to=evil",
        "https://vscode.dev/redirect#fragment",
        "http://localhost:1234/cb#fragment",
        "http://localhost:1234/cb#",
        "http://user@localhost:1234/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://192.168.1.10/cb",
        "http://vscode.dev/redirect",
        "javascript:alert(1)",
        "data:text/html,x",
        "vscode://evil.extension/cb",
        "//localhost/cb",
        "localhost/cb",
        "",
    ],
)
async def test_registration_of_a_redirect_uri_that_is_not_on_the_list_is_refused(
    http: httpx2.AsyncClient, redirect_uri: str
) -> None:
    refused = await register(http, redirect_uri)
    assert refused.status_code == 400
    assert refused.json()["error"] in {"invalid_redirect_uri", "invalid_client_metadata"}


async def test_registration_with_one_bad_redirect_uri_among_good_ones_is_refused(http: httpx2.AsyncClient) -> None:
    assert (await register(http, VSCODE, "https://evil.example/cb")).status_code == 400


@pytest.mark.parametrize(
    ("registered", "used", "allowed"),
    [
        ("http://localhost:1234/cb", "http://localhost:1234/cb", True),
        ("http://localhost:1234/cb", "http://localhost:9876/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:9876/cb", True),
        ("http://localhost:1234/cb", "http://127.0.0.1:1234/cb", False),
        ("http://localhost:1234/cb", "http://localhost:1234/other", False),
        ("http://localhost:1234/cb", "http://localhost:1234/cb/", False),
        ("http://localhost:1234/cb", "http://localhost:1234/cb?x=1", False),
        ("http://localhost:1234/cb", "http://localhost:1234/cb#x", False),
        ("http://localhost:1234/cb", "https://localhost:1234/cb", False),
        ("http://localhost:1234/cb", VSCODE, False),
        (VSCODE, "https://insiders.vscode.dev/redirect", False),
        (VSCODE, "https://vscode.dev:444/redirect", False),
        (VSCODE, "http://localhost:1234/cb", False),
        (VSCODE, "https://evil.example/cb", False),
        (VSCODE, VSCODE, True),
    ],
)
async def test_authorization_goes_to_the_registered_redirect_uri_alone(
    http: httpx2.AsyncClient, registered: str, used: str, *, allowed: bool
) -> None:
    client = OAuthClient(http=http, redirect_uri=registered)
    assert (await client.register()).status_code == 201
    response = await client.authorize(redirect_uri=used)
    if allowed:
        assert response.status_code == 302
        assert "/consent?" in response.headers["location"]
    else:
        assert response.status_code == 400
        assert "location" not in response.headers


async def test_id_of_the_entra_application_is_no_client(http: httpx2.AsyncClient) -> None:
    client = OAuthClient(http=http, client_id=CLIENT_ID)
    response = await client.authorize()
    assert response.status_code == 400
    assert "location" not in response.headers
    assert (await client.redeem("code")).json()["error"] == "invalid_client"


async def error_of(client: OAuthClient, response: httpx2.Response) -> str:
    """The error that the client hears, at its own redirect URI."""
    assert response.status_code == 302
    assert response.headers["location"].startswith(client.redirect_uri)
    query = parse_qs(urlsplit(response.headers["location"]).query)
    assert query["state"] == [client.state]
    return query["error"][0]


@pytest.mark.parametrize(
    "changes",
    [{"code_challenge": ""}, {"code_challenge_method": "plain"}, {"code_challenge_method": ""}],
    ids=["no challenge", "plain", "empty method"],
)
async def test_authorization_without_pkce_s256_is_refused(client: OAuthClient, changes: dict[str, str]) -> None:
    await client.register()
    assert await error_of(client, await client.authorize(**changes)) == "invalid_request"


@pytest.mark.parametrize("left_out", ["code_challenge", "code_challenge_method"])
async def test_pkce_that_is_left_out_is_not_assumed(client: OAuthClient, left_out: str) -> None:
    await client.register()
    url = (await client.authorize()).request.url
    query = {name: value for name, value in url.params.items() if name != left_out}
    assert await error_of(client, await client.http.get("/authorize", params=query)) == "invalid_request"


FOREIGN = [
    "https://other.example/mcp",
    "http://localhost:7071",
    "http://localhost:7071/mcp/other",
    "https://localhost:7071/mcp",
    "http://localhost:7072/mcp",
    "api://something",
    "http://[",
    "x",
]
OWN = ["http://localhost:7071/mcp", "http://localhost:7071/mcp/", "HTTP://LOCALHOST:7071/mcp?x=1", ""]


@pytest.mark.parametrize("resource", FOREIGN)
async def test_foreign_resource_is_refused(client: OAuthClient, resource: str) -> None:
    await client.register()
    assert await error_of(client, await client.authorize(resource=resource)) == "invalid_target"


@pytest.mark.parametrize("resource", OWN)
async def test_resource_of_this_server_is_accepted(client: OAuthClient, resource: str) -> None:
    await client.register()
    assert "/consent?" in (await client.authorize(resource=resource)).headers["location"]


@pytest.mark.parametrize("resources", list(itertools.permutations([OWN[0], FOREIGN[0]])), ids=["last", "first"])
async def test_foreign_resource_beside_an_own_one_is_refused(client: OAuthClient, resources: tuple[str, ...]) -> None:
    await client.register()
    added = "&" + urlencode([("resource", each) for each in resources])
    authorization = (await client.authorize()).request.url
    refused = await client.http.get(f"{authorization}{added}")
    assert await error_of(client, refused) == "invalid_target"
    body = f"grant_type=refresh_token&refresh_token=x&client_id={client.client_id}{added}"
    refused = await client.http.post("/token", content=body, headers={"content-type": FORM})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")


async def test_token_for_a_foreign_resource_is_refused_and_costs_nothing(client: OAuthClient) -> None:
    code = await client.code()
    for resource in FOREIGN:
        refused = await client.redeem(code, resource=resource)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target"), resource
        assert refused.headers["cache-control"] == "no-store"
    tokens = (await client.redeem(code, resource=OWN[0])).json()
    for resource in FOREIGN:
        refused = await client.refresh(tokens["refresh_token"], resource=resource)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target"), resource
    for resource in OWN:
        tokens = (await client.refresh(tokens["refresh_token"], resource=resource)).json()
        assert tokens.get("access_token"), resource


async def test_authorization_by_post_is_not_offered(client: OAuthClient) -> None:
    await client.register()
    assert (await client.http.post("/authorize", data={"client_id": client.client_id})).status_code == 405


async def test_issuer_is_in_every_authorization_response_once(client: OAuthClient) -> None:
    """RFC 9207: the metadata says so, and a client takes an answer without it for a mix-up."""
    metadata = (await client.http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    await client.register()
    denied = await client.consent(await client.consent_page(), action="deny")
    refused = [
        await client.authorize(**changes)
        for changes in ({"code_challenge": ""}, {"resource": "x"}, {"scope": "x"}, {"response_type": "token"})
    ]
    upstream = await client.consent(await client.consent_page())
    state = parse_qs(urlsplit(upstream.headers["location"]).query)["state"][0]
    failed = await client.entra_return({"error": "access_denied", "state": state})
    back = await client.callback(upstream.headers["location"])
    for response in (denied, *refused, failed, back):
        query = parse_qs(urlsplit(response.headers["location"]).query)
        assert query["iss"] == [metadata["issuer"]]
        assert ("code" in query) is (response is back)


async def test_client_whose_registration_has_expired_registers_again(client: OAuthClient, azurite: str) -> None:
    tokens = await client.sign_in()
    with TableServiceClient.from_connection_string(azurite) as service:
        table: Any = service.get_table_client(os.environ["MCP_TABLE_NAME"])
        prefix = Address.of(REGISTRATIONS, "").partition.partition(".")[0]
        expired = [row for row in table.list_entities() if row["PartitionKey"].startswith(prefix)]
        assert len(expired) == 1
        table.delete_entity(expired[0])
    refused = await client.authorize()
    assert (refused.status_code, "location" in refused.headers) == (400, False)
    ended = await client.refresh(tokens["refresh_token"])
    assert (ended.status_code, ended.json()["error"]) == (401, "invalid_client")
    before = client.client_id
    renewed = await client.sign_in()
    assert client.client_id != before
    assert (await client.refresh(renewed["refresh_token"])).status_code == 200
