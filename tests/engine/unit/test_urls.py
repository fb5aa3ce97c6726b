"""Which URLs count as this machine, as safe, and as an origin."""

from __future__ import annotations

import pytest

from entra_mcp.urls import is_loopback, require_https, require_origin


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:7071/x",
        "https://127.0.0.1:7444",
        "https://127.255.0.9",
        "http://[::1]:7071",
        "//localhost:7071",
    ],
)
def test_loopback_is_this_machine(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://contoso.vault.azure.net",
        "https://localhost.contoso.com",
        "https://127.0.0.1.contoso.com",
        "https://contoso.com/localhost",
        "https://localhost@contoso.com",
        "https://contoso.com#localhost",
        "https://contoso.com?localhost",
        "http://notlocalhost",
        "http://0.0.0.0",
        "http://[::]",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://128.0.0.1",
        "http://[fe80::1]",
        "http://2130706433",
        "localhost",
        "",
    ],
)
def test_anything_else_is_not_loopback(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize(
    "url",
    ["https://contoso.com", "https://contoso.com/a?b=c", "http://localhost:7080/x", "http://127.0.0.1", "http://[::1]"],
)
def test_https_and_loopback_are_accepted_unchanged(url: str) -> None:
    assert require_https(url) == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://contoso.com", "unless the host is on loopback"),
        ("http://localhost.contoso.com", "unless the host is on loopback"),
        ("http://0.0.0.0", "unless the host is on loopback"),
        ("ftp://localhost", "absolute"),
        ("file:///etc/passwd", "absolute"),
        ("javascript:alert(1)", "absolute"),
        ("contoso.com", "absolute"),
        ("//contoso.com", "absolute"),
        ("https://", "absolute"),
        ("https:contoso.com", "absolute"),
        ("", "absolute"),
    ],
)
def test_unsafe_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        require_https(url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://contoso.com", "https://contoso.com"),
        ("https://contoso.com/", "https://contoso.com"),
        ("https://contoso.com:8443/", "https://contoso.com:8443"),
        ("http://localhost:7071", "http://localhost:7071"),
        ("http://[::1]:7071/", "http://[::1]:7071"),
    ],
)
def test_origin_loses_its_slash_and_nothing_else(url: str, origin: str) -> None:
    assert require_origin(url) == origin


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://contoso.com/mcp", "has to be an origin"),
        ("https://contoso.com//", "has to be an origin"),
        ("https://contoso.com?a=b", "has to be an origin"),
        ("https://contoso.com#a", "has to be an origin"),
        ("https://user@contoso.com", "has to be an origin"),
        ("https://:password@contoso.com", "has to be an origin"),
        ("https://@contoso.com", "has to be an origin"),
        ("http://contoso.com", "unless the host is on loopback"),
        ("contoso.com", "absolute"),
    ],
)
def test_more_or_less_than_an_origin_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        require_origin(url)
