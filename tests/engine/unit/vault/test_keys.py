"""The key ring and the keys derived from it."""

from __future__ import annotations

import pytest

from entra_mcp.vault.keys import KeyRing, Purpose, RootKey

OLD = RootKey(version="old", material=bytes(range(32)))
NEW = RootKey(version="new", material=bytes(range(32, 64)))


def test_derive_is_the_same_everywhere() -> None:
    # Computed with `openssl kdf -keylen 32 -kdfopt digest:SHA2-256 -kdfopt hexkey:0001..1f
    # -kdfopt info:entra-mcp/storage/v1 HKDF`. Changing it would make every stored row unreadable.
    expected = "941c833bd54428e0628b675fcdeead1a791ed95023f7bf21ab2294c57a5831bf"
    assert OLD.derive(Purpose.STORAGE).hex() == expected


def test_derive_differs_by_use_and_by_key() -> None:
    derived = {key.derive(use) for key in (OLD, NEW) for use in (Purpose.STORAGE, Purpose.REQUEST_STATE)}
    assert len(derived) == 4
    assert OLD.material not in derived


def test_key_id_is_short_and_differs() -> None:
    assert len(OLD.key_id) == 8
    assert OLD.key_id != NEW.key_id
    assert OLD.key_id not in OLD.derive(Purpose.STORAGE)


def test_ring_derives_newest_first() -> None:
    ring = KeyRing((NEW, OLD))
    assert ring.newest is NEW
    assert ring.derive(Purpose.REQUEST_STATE) == [NEW.derive(Purpose.REQUEST_STATE), OLD.derive(Purpose.REQUEST_STATE)]


@pytest.mark.parametrize("material", [b"", b"x", b"x" * 31, b"x" * 33])
def test_root_key_of_another_length_is_refused(material: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RootKey(version="1", material=material)


def test_ring_without_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        KeyRing(())


def test_representation_hides_the_material() -> None:
    assert "material" not in repr(KeyRing((OLD,)))
    assert OLD.material.hex() not in repr(OLD)
