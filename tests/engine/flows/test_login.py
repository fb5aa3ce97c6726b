"""A login step by step, and what each step answers to those who should not get further."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from local.config import CLIENT_ID
from tests.support.mcp import refusal, structured

if TYPE_CHECKING:
    import httpx2

    from tests.support.oauth import OAuthClient
    from tests.support.standins import StandIns


async def test_metadata_leads_from_the_challenge_to_every_endpoint(http: httpx2.AsyncClient) -> None:
    challenge = await http.post("/mcp", json={})
    assert challenge.status_code == 401
    metadata_url = challenge.headers["www-authenticate"].split('resource_metadata="')[1].split('"')[0]
    resource = (await http.get(metadata_url)).json()
    assert resource["resource"] == "http://localhost:7071/mcp"
    assert resource["scopes_supported"] == ["access_as_user"]
    server = (await http.get(f"{resource['authorization_servers'][0]}.well-known/oauth-authorization-server")).json()
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert server["token_endpoint_auth_methods_supported"] == ["none", "private_key_jwt"]
    assert server["registration_endpoint"] == "http://localhost:7071/register"


async def test_sign_in_then_tools_work(client: OAuthClient) -> None:
    tokens = await client.sign_in()
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == "access_as_user"
    caller = structured(await client.call(tokens["access_token"], "whoami"))
    assert caller["username"]
    assert caller["object_id"]
    assert caller["scopes"] == ["access_as_user"]
    assert structured(await client.call(tokens["access_token"], "add", {"a": 2, "b": 3})) == {"result": 5}


async def test_graph_me_is_the_person_who_signed_in(client: OAuthClient) -> None:
    token = (await client.sign_in())["access_token"]
    caller = structured(await client.call(token, "whoami"))
    profile = structured(await client.call(token, "graph_me"))
    assert profile["object_id"] == caller["object_id"]
    assert profile["username"] == caller["username"]


@pytest.mark.parametrize(("account", "told"), [("unconsented", "sign in and accept"), ("stepup", "sign in again")])
async def test_graph_me_that_entra_refuses_tells_what_to_do_and_nothing_else(
    client: OAuthClient, account: str, told: str
) -> None:
    token = (await client.sign_in(account))["access_token"]
    message = refusal(await client.call(token, "graph_me"))
    assert told in message
    assert "AADSTS" not in message
    assert structured(await client.call(token, "add", {"a": 1, "b": 1})) == {"result": 2}


async def test_roles_of_an_administrator_reach_the_tool(client: OAuthClient) -> None:
    token = (await client.sign_in("admin"))["access_token"]
    assert structured(await client.call(token, "whoami"))["roles"] == ["Admin"]


async def test_refresh_gives_new_tokens_that_work(client: OAuthClient) -> None:
    first = await client.sign_in()
    response = await client.refresh(first["refresh_token"])
    assert response.status_code == 200, response.text
    second = response.json()
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert structured(await client.call(second["access_token"], "add", {"a": 1, "b": 1})) == {"result": 2}


async def test_access_token_is_for_this_server_and_not_one_of_entra(client: OAuthClient) -> None:
    token = (await client.sign_in())["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == "http://localhost:7071/"
    assert claims["aud"] == "http://localhost:7071/mcp"
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


async def test_authorization_request_to_entra_has_the_right_parameters(client: OAuthClient, standins: StandIns) -> None:
    await client.register()
    upstream = await client.consent(await client.consent_page())
    location = upstream.headers["location"]
    assert location.startswith(standins.authorization_endpoint)
    query = parse_qs(urlsplit(location).query)
    assert query["client_id"] == [CLIENT_ID]
    assert query["redirect_uri"] == ["http://localhost:7071/auth/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["prompt"] == ["select_account"]
    assert set(query["scope"][0].split()) == {
        f"api://{CLIENT_ID}/access_as_user",
        "openid",
        "profile",
        "offline_access",
        "User.Read",
    }
    assert "resource" not in query


async def test_consent_page_names_client_and_server_and_loads_nothing_from_elsewhere(client: OAuthClient) -> None:
    await client.register()
    page = (await client.consent_page()).text
    assert "Test client" in page
    assert "Test server" in page
    assert client.redirect_uri in page
    assert 'src="data:image/svg+xml;base64,' in page
    assert 'src="http' not in page


async def test_consent_denied_goes_back_to_the_client_with_an_error(client: OAuthClient) -> None:
    await client.register()
    denied = await client.consent(await client.consent_page(), action="deny")
    answer = client.answer(denied)
    # Some clients show the parameter as it came.
    assert "+" not in denied.headers["location"]
    assert answer["error"] == "access_denied"
    assert "denied access on the consent page" in answer["error_description"]
    assert answer["state"] == client.state


async def test_authorization_of_an_unknown_client_is_refused(client: OAuthClient) -> None:
    client.client_id = "00000000-0000-4000-8000-000000000000"
    response = await client.authorize()
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c"])
async def test_call_without_a_good_token_is_challenged(client: OAuthClient, token: str | None) -> None:
    response = await client.call(token, "add", {"a": 1, "b": 1})
    assert response.status_code == 401
    assert "resource_metadata=" in response.headers["www-authenticate"]
