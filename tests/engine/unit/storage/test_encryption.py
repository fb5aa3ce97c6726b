"""Encryption of rows: what opens, and all that must not."""

from __future__ import annotations

import json
import os
from secrets import token_urlsafe

import pytest
from key_value.aio.errors import CorruptedDataError, DecryptionError, ValueTooLargeError

from entra_mcp.storage.encryption import MAX_PLAIN_BYTES, RowCipher
from entra_mcp.storage.rows import MAX_VALUE_BYTES
from entra_mcp.vault.keys import KeyRing, RootKey

OLD = RootKey(version="old", material=os.urandom(32))
NEW = RootKey(version="new", material=os.urandom(32))
PLAIN = json.dumps({"access_token": token_urlsafe(800), "name": "Zoë"}).encode()


def seal(cipher: RowCipher, plain: bytes = PLAIN) -> bytes:
    return cipher.seal(plain, collection="tokens", key="k", expires=1_800_000_000_000)


@pytest.mark.parametrize("plain", [b"", b"{}", PLAIN, os.urandom(700_000)], ids=["empty", "small", "token", "large"])
def test_open_returns_what_was_sealed(plain: bytes) -> None:
    cipher = RowCipher(KeyRing((NEW,)))
    assert cipher.open(seal(cipher, plain), collection="tokens", key="k", expires=1_800_000_000_000) == plain


@pytest.mark.parametrize(
    ("collection", "key", "expires"),
    [
        ("codes", "k", 1_800_000_000_000),
        ("tokens", "K", 1_800_000_000_000),
        ("tokensk", "", 1_800_000_000_000),
        ("tokens", "k", 1_800_000_000_001),
        ("tokens", "k", None),
    ],
    ids=["other collection", "other key", "shifted boundary", "longer life", "no expiry"],
)
def test_open_of_a_moved_or_prolonged_value_is_refused(collection: str, key: str, expires: int | None) -> None:
    cipher = RowCipher(KeyRing((NEW,)))
    with pytest.raises(CorruptedDataError):
        cipher.open(seal(cipher), collection=collection, key=key, expires=expires)


def test_open_of_any_altered_byte_is_refused() -> None:
    cipher = RowCipher(KeyRing((NEW,)))
    sealed = seal(cipher, b"{}")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(DecryptionError):
            cipher.open(bytes(altered), collection="tokens", key="k", expires=1_800_000_000_000)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" * 36, PLAIN, b"\x03" + os.urandom(100)])
def test_open_of_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(CorruptedDataError):
        RowCipher(KeyRing((NEW,))).open(sealed, collection="tokens", key="k", expires=None)


def test_open_after_rotation_still_reads_older_values_and_seals_with_the_newest() -> None:
    before, after = RowCipher(KeyRing((OLD,))), RowCipher(KeyRing((NEW, OLD)))
    assert after.open(seal(before), collection="tokens", key="k", expires=1_800_000_000_000) == PLAIN
    with pytest.raises(DecryptionError, match="no longer gives"):
        before.open(seal(after), collection="tokens", key="k", expires=1_800_000_000_000)


def test_seal_never_repeats_itself() -> None:
    cipher = RowCipher(KeyRing((NEW,)))
    assert len({seal(cipher) for _ in range(50)}) == 50


def test_seal_with_lone_surrogates_in_the_key() -> None:
    cipher = RowCipher(KeyRing((NEW,)))
    sealed = cipher.seal(PLAIN, collection="c\ud800", key="\udfff/#?", expires=None)
    assert cipher.open(sealed, collection="c\ud800", key="\udfff/#?", expires=None) == PLAIN


def test_sealed_value_does_not_hold_the_plain_one() -> None:
    sealed = seal(RowCipher(KeyRing((NEW,))), b'{"client":"Zoe"}')
    assert b"client" not in sealed
    assert b"Zoe" not in sealed


@pytest.mark.parametrize("size", [0, 1, 16, 100, 1_000, 60_000, MAX_PLAIN_BYTES])
def test_seal_of_what_cannot_be_compressed_grows_by_few_bytes(size: int) -> None:
    plain = os.urandom(size)
    assert len(seal(RowCipher(KeyRing((NEW,))), plain)) - size <= 64


@pytest.mark.parametrize("plain", [os.urandom(MAX_PLAIN_BYTES), b"x" * MAX_PLAIN_BYTES], ids=["random", "repeated"])
def test_seal_of_the_largest_value_fits_a_row_and_opens(plain: bytes) -> None:
    cipher = RowCipher(KeyRing((NEW,)))
    sealed = seal(cipher, plain)
    assert len(sealed) <= MAX_VALUE_BYTES
    assert cipher.open(sealed, collection="tokens", key="k", expires=1_800_000_000_000) == plain


@pytest.mark.parametrize("size", [MAX_PLAIN_BYTES + 1, 17_000_000])
def test_seal_of_a_value_over_the_limit_is_refused_however_well_it_compresses(size: int) -> None:
    with pytest.raises(ValueTooLargeError):
        seal(RowCipher(KeyRing((NEW,))), b"x" * size)


def test_seal_makes_what_repeats_itself_smaller() -> None:
    token = token_urlsafe(1000)
    plain = json.dumps({"access_token": token, "raw_token_data": {"access_token": token}}).encode()
    assert len(seal(RowCipher(KeyRing((NEW,))), plain)) < len(plain) * 0.6


def test_is_newest_tells_which_values_an_older_key_sealed() -> None:
    before, after = RowCipher(KeyRing((OLD,))), RowCipher(KeyRing((NEW, OLD)))
    assert after.is_newest(seal(after))
    assert not after.is_newest(seal(before))
