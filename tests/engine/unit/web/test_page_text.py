"""Text of strangers is shown in one short line that leaves the text around it alone."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest

from entra_mcp.web.pages.consent import ConsentRequest, consent_page
from entra_mcp.web.pages.layout import Brand, page
from entra_mcp.web.pages.text import isolated, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Contoso Assistant", "Contoso Assistant"),
        ("  a\r\n\tb\u00a0 c\u2028d ", "a b c d"),
        ("\u202eevil\u202c\u2066\u2069\u200e\u200f\u061c", "evil"),
        ("a\u200bb\u00adc\ufeffd\u2060e", "abcde"),
        ("a\x00\x07\x1b[2J\x7f\x85b", "a[2Jb"),
        ("\ud800x\udfff", "x"),
        ("\ue000x\U000e0041", "x"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("é", "é"),
        ("e\u0301", "é"),
        ("Z" + "\u0317" * 50, "Z" + "\u0317" * 3),
        ("n" * 20, "n" * 20),
        ("n" * 21, "n" * 19 + "…"),
        ("\u200b" * 10_000 + "late", "…"),
        ("x" + "\u200b" * 10_000, "x…"),
        ("", ""),
        ("\u202e \u200b", ""),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text, limit=20) == shown


def test_isolated_is_escaped_and_keeps_its_direction_to_itself() -> None:
    assert isolated("<b>\"'&") == "<bdi>&lt;b&gt;&quot;&#x27;&amp;</bdi>"


def consent(**changes: str) -> str:
    given = {"client_id": "c", "client_name": "n", "redirect_uri": "https://contoso.com/cb"}
    return consent_page(
        ConsentRequest(brand=Brand(name="S"), scopes=["a"], further=[], fields={"csrf_token": "t"}, **(given | changes))
    )


def test_page_shows_the_icon_and_the_colour_of_its_server() -> None:
    brand = Brand(name="Order desk", icon="<svg>contoso</svg>", accent=("#123456", "#abcdef"))
    shown = page("Hello", "<p>Hello</p>", brand=brand)
    text = bytes(shown.body).decode()
    assert text.count(f'"{brand.icon_uri}"') == 2
    assert "light-dark(#123456, #abcdef)" in text
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in shown.headers["content-security-policy"]
