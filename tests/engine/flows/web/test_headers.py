"""The headers of every page, every error and every answer of OAuth, and what browsers' MCP clients may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp_types.jsonrpc import HEADER_MISMATCH

from tests.engine.flows.web.conftest import CHAT, WEBVIEW
from tests.support.mcp import SESSIONLESS, protocol_error, structured, tool_call

if TYPE_CHECKING:
    import httpx2

    from tests.support.oauth import OAuthClient

pytestmark = pytest.mark.asyncio(loop_scope="package")

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

ANSWERS = [
    ("GET", "/"),
    ("GET", "/readyz"),
    ("GET", "/nothing"),
    ("GET", "/mcp"),
    ("POST", "/mcp"),
    ("GET", "/authorize"),
    ("GET", "/consent"),
    ("POST", "/consent"),
    ("GET", "/auth/callback"),
    ("POST", "/token"),
    ("POST", "/register"),
    ("GET", "/.well-known/oauth-authorization-server"),
]


def assert_hardened(response: httpx2.Response) -> None:
    headers = response.headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "no-referrer"}


@pytest.mark.parametrize(("method", "path"), ANSWERS)
async def test_every_answer_is_hardened(http: httpx2.AsyncClient, method: str, path: str) -> None:
    for accept in (BROWSER, {}):
        response = await http.request(method, path, headers=accept)
        assert_hardened(response)
        assert "strict-transport-security" not in response.headers
        if response.is_error or not path.startswith("/.well-known"):
            assert response.headers["cache-control"] == "no-store"


async def test_consent_page_is_hardened(client: OAuthClient) -> None:
    await client.register()
    page = await client.consent_page()
    assert page.status_code == 200
    assert_hardened(page)
    assert page.headers["cache-control"] == "no-store"
    assert page.headers.get_list("content-security-policy") == [page.headers["content-security-policy"]]


async def test_every_answer_of_oauth_is_not_stored(client: OAuthClient) -> None:
    answers = [await client.register(), await client.authorize()]
    answers.append(await client.consent(await client.http.get(answers[-1].headers["location"])))
    answers.append(await client.callback(answers[-1].headers["location"]))
    answers.append(await client.redeem(client.answer(answers[-1])["code"]))
    answers.append(await client.refresh(answers[-1].json()["refresh_token"]))
    assert [answer.status_code for answer in answers] == [201, 302, 302, 302, 200, 200]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_metadata_may_be_stored(http: httpx2.AsyncClient) -> None:
    response = await http.get("/.well-known/oauth-authorization-server")
    assert response.headers["cache-control"] == "public, max-age=3600"


async def test_https_is_remembered_by_browsers(https: httpx2.AsyncClient) -> None:
    for path in ("/", "/nothing"):
        assert (await https.get(path)).headers["strict-transport-security"] == "max-age=31536000"


PUBLIC = ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp", "/register", "/token"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_preflight_of_any_page_succeeds_where_browsers_clients_need_it(
    http: httpx2.AsyncClient, path: str
) -> None:
    response = await http.options(
        path,
        headers={
            "Origin": "https://any.example",
            "Access-Control-Request-Method": "GET" if path.startswith("/.well-known") else "POST",
            "Access-Control-Request-Headers": "authorization, content-type, mcp-protocol-version, x-of-a-client",
        },
    )
    assert response.status_code == 200
    assert "x-of-a-client" in response.headers["access-control-allow-headers"]
    assert response.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", PUBLIC)
async def test_answer_may_be_read_by_any_page_even_when_it_is_an_error(http: httpx2.AsyncClient, path: str) -> None:
    method = "GET" if path.startswith("/.well-known") else "POST"
    response = await http.request(method, path, headers={"Origin": "https://any.example"})
    assert response.headers.get_list("access-control-allow-origin") == ["*"]
    exposed = response.headers["access-control-expose-headers"].lower()
    assert {"www-authenticate", "x-correlation-id", "retry-after"} <= set(exposed.split(", "))


@pytest.mark.parametrize("path", ["/authorize", "/consent", "/auth/callback", "/", "/readyz", "/mcp"])
async def test_what_is_not_for_scripts_is_not_opened_to_them(http: httpx2.AsyncClient, path: str) -> None:
    asked = {"Origin": "https://any.example", "Access-Control-Request-Method": "GET"}
    for response in (await http.get(path, headers=asked), await http.options(path, headers=asked)):
        assert "access-control-allow-origin" not in response.headers


async def test_mcp_is_opened_to_the_origins_of_the_setting_alone(https: httpx2.AsyncClient) -> None:
    async def preflight(origin: str, method: str = "POST") -> httpx2.Response:
        wanted = "authorization, content-type, mcp-protocol-version, mcp-method, mcp-name, mcp-param-region"
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": wanted,
        }
        return await https.options("/mcp", headers=headers)

    for origin in (CHAT, WEBVIEW, "app://-", "http://tauri.localhost"):
        accepted = await preflight(origin)
        assert (accepted.status_code, accepted.headers["access-control-allow-origin"]) == (200, origin)
        assert {"mcp-method", "mcp-param-region"} <= set(accepted.headers["access-control-allow-headers"].split(", "))
    # Clients of earlier protocols open a stream with GET, and go on without one after 405.
    assert (await preflight(CHAT, "GET")).status_code == 200
    foreign = (
        "https://evil.example",
        "vscode-webview://",
        f"{WEBVIEW}.evil.example",
        "app://-x",
        "https://chat-contoso.com",
    )
    for origin in foreign:
        refused = await preflight(origin)
        assert refused.status_code == 403, origin
        assert "access-control-allow-origin" not in refused.headers


async def test_script_of_an_accepted_origin_reads_the_challenge(https: httpx2.AsyncClient) -> None:
    call = tool_call("add", {"a": 1, "b": 1})
    response = await https.post("/mcp", headers=call["headers"] | {"Origin": CHAT}, json=call["json"])
    assert response.status_code == 401
    assert "www-authenticate" in response.headers
    assert response.headers["access-control-allow-origin"] == CHAT
    assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ([("Mcp-Param-Region", "north")], False),
        ([("mcp-param-region", "=?base64?bm9ydGg=?=")], False),
        ([("Mcp-Param-Region", "south")], True),
        ([("Mcp-Param-Region", "=?base64?!?=")], True),
        ([("Mcp-Param-Region", "north"), ("Mcp-Param-Region", "south")], True),
        ([], True),
    ],
)
async def test_argument_that_is_a_header_too_says_the_same_in_both(
    client: OAuthClient, headers: list[tuple[str, str]], refused: bool
) -> None:
    token = (await client.sign_in())["access_token"]
    call = tool_call("ship", {"region": "north"}, protocol=SESSIONLESS, token=token)
    response = await client.http.post("/mcp", headers=[*call["headers"].items(), *headers], json=call["json"])
    if refused:
        assert (response.status_code, protocol_error(response)["code"]) == (400, HEADER_MISMATCH)
    else:
        assert structured(response) == {"result": "north"}


async def test_client_of_an_earlier_protocol_knows_no_such_header(client: OAuthClient) -> None:
    call = tool_call("ship", {"region": "north"}, token=(await client.sign_in())["access_token"])
    assert structured(await client.http.post("/mcp", **call)) == {"result": "north"}


async def test_mcp_answers_keep_what_they_say_about_storing(client: OAuthClient) -> None:
    call = tool_call("add", {"a": 1, "b": 1}, token=(await client.sign_in())["access_token"])
    response = await client.http.post("/mcp", **call)
    assert structured(response) == {"result": 2}
    assert "no-transform" in response.headers["cache-control"]
