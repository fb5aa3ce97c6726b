"""Signatures of the consent cookies: only what was signed here verifies, under every key of the ring."""

from __future__ import annotations

import pytest

from entra_mcp.auth.consent_cookies import ConsentCookies
from entra_mcp.vault.keys import KeyRing, RootKey

OLD = RootKey(version="1", material=bytes(range(32)))
NEW = RootKey(version="2", material=bytes(range(1, 33)))


@pytest.mark.parametrize("payload", ["", "x", "a.b.c", "é", "=" * 1000])
def test_signed_payload_verifies(payload: str) -> None:
    cookies = ConsentCookies(KeyRing((NEW,)))
    assert cookies.verify(cookies.sign(payload)) == payload


def test_payload_signed_before_a_rotation_verifies_after_it() -> None:
    before, after = ConsentCookies(KeyRing((OLD,))), ConsentCookies(KeyRing((NEW, OLD)))
    assert after.verify(before.sign("x")) == "x"
    assert before.verify(after.sign("x")) is None


@pytest.mark.parametrize("signed", ["", "x", "x.", ".", "x.00", "x.é", "x.\ud800", "x" + "." * 100])
def test_value_that_was_not_signed_is_refused(signed: str) -> None:
    assert ConsentCookies(KeyRing((NEW,))).verify(signed) is None


def test_altered_payload_is_refused() -> None:
    cookies = ConsentCookies(KeyRing((NEW,)))
    assert cookies.verify("y" + cookies.sign("x")[1:]) is None
