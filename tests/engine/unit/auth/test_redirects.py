"""The redirect URIs that clients may register."""

from __future__ import annotations

import pytest

from entra_mcp.auth.clients.redirects import admitting_word, is_allowed
from entra_mcp.known_clients import DEFAULTS, GROUPS, redirect_patterns
from entra_mcp.urls import canonical, require_narrow
from tests.engine.real_clients import ASSUMED, RECORDED

CLIENTS = RECORDED | ASSUMED


@pytest.mark.parametrize("client", CLIENTS)
def test_redirect_of_a_known_client_is_admitted_by_one_word(client: str) -> None:
    entry, uris = CLIENTS[client].entry, CLIENTS[client].redirect_uris
    for uri in uris:
        assert is_allowed(uri, redirect_patterns([entry]))
        assert is_allowed(uri, redirect_patterns(["defaults"])) is (entry == "defaults")
        word = admitting_word(uri)
        assert word in DEFAULTS if entry == "defaults" else word == entry


def test_pattern_of_every_known_client_is_narrow() -> None:
    for pattern in redirect_patterns([*GROUPS, "librechat@chat.contoso.com", "open-webui@localhost:8080"]):
        require_narrow(pattern)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/callback",
        "http://192.168.1.10:8080/callback",
        "http://localhost@evil.example/callback",
        "http://localhost.evil.example/callback",
        "https://localhost:8080/callback",
        "https://vscode.dev.evil.example/redirect",
        "https://vscode.dev/redirect/../open",
        "https://vscode.dev:8443/redirect",
        "https://claude.ai/api/mcp/auth_callback/more",
        "https://claude.ai/",
        "https://evil.claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/",
        "https://chatgpt.com/connector/oauth/../../steal",
        "cursor://evil.extension/oauth/callback",
        "https://vscode.dev/redirect?to=https://evil.example",
        "https://vscode.dev/redirect#x",
        "https://vscode.dev/redirect#",
        "https://vscode.dev/%2e%2e/redirect",
        "https://vscode.dev/redirect%2f..",
        "https://chatgpt.com/connector/oauth/a/b",
        "https://chatgpt.com/connector/oauth/",
        "https://vscode.dev\\@evil.example/redirect",
        "https://vscode.dev/redirect\n",
        "https://vscode.dev/redirect\u202e",
        "https://VSCODE.DEV:99999/redirect",
        "http://localhost:0/callback",
        "http://localhost:8080/callback?next=1",
        "http://localhost:8080/a/../b",
        "http://[::2]/callback",
        "http://[::1]evil.example:80/callback",
        "http://[::1/callback",
        "https://",
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "vscode://evil.extension/callback",
    ],
)
def test_redirect_of_anyone_else_is_refused(uri: str) -> None:
    assert not is_allowed(uri, redirect_patterns(("defaults",)))


@pytest.mark.parametrize(
    "uri",
    [
        "https://global.consent.azure-apim.net/redirect/a/b",
        "https://global.consent.azure-apim.net/other",
        "https://europe.consent.azure-apim.net/redirect/a",
        "https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect/",
        "vscode://saoudrizwan.claude-dev/mcp-auth/callback/%0d%0aX",
        "vscode://evil.extension/mcp-auth/callback/1",
        "https://chatgpt.com/connector/oauth/a%0d%0aSet-Cookie:x",
        "https://chatgpt.com/connector/oauth/a%00",
        "https://chatgpt.com/connector/oauth/a%1Fb",
        "https://chatgpt.com/connector/oauth/a%7f",
        "https://evil.example/rest/oauth2-credential/callback",
    ],
)
def test_redirect_beside_a_known_client_is_refused_with_every_word(uri: str) -> None:
    assert not is_allowed(uri, redirect_patterns([*GROUPS, "n8n@n8n.contoso.com"]))


@pytest.mark.parametrize(
    "uri",
    [
        "https://VSCODE.dev/redirect",
        "HTTPS://vscode.dev/redirect",
        "https://vscode.dev:443/redirect",
        "http://localhost:80/cb",
        "http://localhost:0080/cb",
        "http://localhost:1/a/../b",
        "http://localhost:1?x",
        "https://vscode.dev\\redirect",
        " https://vscode.dev/redirect",
    ],
)
def test_redirect_that_is_not_in_its_normal_form_is_refused(uri: str) -> None:
    assert canonical(uri) is None
    assert not is_allowed(uri, redirect_patterns(["defaults"]))


@pytest.mark.parametrize(
    ("pattern", "uri", "allowed"),
    [
        ("https://ai.contoso.com/oauth/mcp:*/cb", "https://ai.contoso.com/oauth/mcp:entra/cb", True),
        ("https://ai.contoso.com/oauth/mcp:*/cb", "https://ai.contoso.com:8443/oauth/mcp:0/cb", False),
        ("https://localhost:*/cb", "https://localhost:8443/cb", True),
        ("https://contoso.com:8443/cb", "https://contoso.com:8443/cb", True),
        ("https://contoso.com:8443/cb", "https://contoso.com/cb", False),
    ],
)
def test_star_in_a_path_is_no_port(pattern: str, uri: str, *, allowed: bool) -> None:
    assert is_allowed(uri, [pattern]) is allowed


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("warp://mcp/oauth2callback?server_id=65aebdca-613a", True),
        ("warp://mcp/oauth2callback?server_id=", False),
        ("warp://mcp/oauth2callback?server_id=1&next=2", False),
        ("warp://mcp/oauth2callback?server_id=a%26b", False),
        ("warp://mcp/oauth2callback?other=1", False),
        ("raycast://oauth?package_name=Extension", True),
        ("raycast://oauth?package_name=Other", False),
        ("raycast://oauth/more?package_name=Extension", False),
        ("raycast://oauth", False),
    ],
)
def test_star_in_a_query_is_one_value_and_no_path_is_none(uri: str, *, allowed: bool) -> None:
    assert is_allowed(uri, redirect_patterns(["warp", "raycast"])) is allowed


def test_setting_without_defaults_replaces_them() -> None:
    assert redirect_patterns(("https://agent.contoso.com/cb",)) == ["https://agent.contoso.com/cb"]


def test_setting_with_defaults_adds_to_them() -> None:
    added = redirect_patterns(("defaults", "https://agent.contoso.com/cb", "n8n@n8n.contoso.com"))
    assert added == [
        *redirect_patterns(DEFAULTS),
        "https://agent.contoso.com/cb",
        "https://n8n.contoso.com/rest/oauth2-credential/callback",
    ]
