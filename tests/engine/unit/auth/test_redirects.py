"""The redirect URIs that clients may register by default."""

from __future__ import annotations

import pytest

from entra_mcp.auth.redirects import KNOWN_CLIENTS, is_allowed, redirect_patterns


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:6274/oauth/callback",
        "http://localhost/callback",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1:51234/callback",
        "http://[::1]:51234/callback",
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "https://chatgpt.com/connector/oauth/abc123",
        "cursor://anysphere.cursor-mcp/oauth/callback",
    ],
)
def test_redirect_of_a_known_client_is_allowed(uri: str) -> None:
    assert is_allowed(uri, redirect_patterns(("defaults",)))


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


def test_setting_without_defaults_replaces_them() -> None:
    assert redirect_patterns(("https://agent.contoso.com/cb",)) == ["https://agent.contoso.com/cb"]


def test_setting_with_defaults_adds_to_them() -> None:
    assert redirect_patterns(("defaults", "https://agent.contoso.com/cb")) == [
        *KNOWN_CLIENTS,
        "https://agent.contoso.com/cb",
    ]
