"""Authenticated encryption of stored values.

AES-256-GCM under a key that is derived (HKDF-SHA256, RFC 5869) from a ring key and the entry's own raw collection and
key. The raw key is not stored with its entry, only its hash: codes and ids of token sets are random secrets that only
their holders know, so a dump of the table together with the vault's key reads nobody's tokens. The exception is who has
an unfinished background task: its row leads to theirs (tasks/rows.py). The format, the address and the expiry are
authenticated with the value: a ciphertext moved to another entry, or given a longer life, does not open.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from key_value.aio.errors import CorruptedDataError, DecryptionError, ValueTooLargeError

from entra_mcp.vault.keys import KEY_BYTES, KEY_ID_BYTES, Purpose

if TYPE_CHECKING:
    from entra_mcp.vault.keys import KeySource

PLAIN = b"\x01"
DEFLATED = b"\x02"
FORMAT_BYTES = 1
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = FORMAT_BYTES + KEY_ID_BYTES + NONCE_BYTES

MAX_PLAIN_BYTES = 700_000
"""What fits one row even when it cannot be compressed."""

LEVEL = 6
"""Of deflate: 9 gains nothing on what is stored here, and 1 is hardly faster (docs/storage.md has the numbers)."""


class RowCipher:
    """Seals values under the newest key of the ring; opens what any key of the ring sealed."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def seal(self, plain: bytes, *, collection: str, key: str, expires: int | None) -> bytes:
        """Returns format, key id, nonce and ciphertext of the value, compressed if it is smaller then.

        Raises:
            ValueTooLargeError: the value has more than `MAX_PLAIN_BYTES`, however well it would compress.
        """
        if len(plain) > MAX_PLAIN_BYTES:
            raise ValueTooLargeError(size=len(plain), max_size=MAX_PLAIN_BYTES, collection=collection)
        packed = zlib.compress(plain, LEVEL, -zlib.MAX_WBITS)
        form, content = (DEFLATED, packed) if len(packed) < len(plain) else (PLAIN, plain)
        newest = self._source.ring.newest
        header = form + newest.key_id + os.urandom(NONCE_BYTES)
        cipher = _cipher(newest.derive(Purpose.STORAGE), collection, key)
        return header + cipher.encrypt(header[-NONCE_BYTES:], content, _bound(header, expires))

    def open(self, sealed: bytes, *, collection: str, key: str, expires: int | None) -> bytes:
        """Returns the value that was sealed for this very entry.

        Raises:
            CorruptedDataError: it is not a sealed value, or not this entry's, or was altered.
            DecryptionError: it was sealed under a key that is not in the ring.
        """
        form = sealed[:FORMAT_BYTES]
        if len(sealed) < HEADER_BYTES + TAG_BYTES or form not in {PLAIN, DEFLATED}:
            raise CorruptedDataError("the value is not encrypted")
        header, ciphertext = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
        root = next((key for key in self._source.ring.keys if key.key_id == _key_id(sealed)), None)
        if root is None:
            raise DecryptionError("the value was encrypted under a key that the vault no longer gives")
        try:
            content = _cipher(root.derive(Purpose.STORAGE), collection, key).decrypt(
                header[-NONCE_BYTES:], ciphertext, _bound(header, expires)
            )
        except InvalidTag:
            raise CorruptedDataError("the value was altered, or belongs to another entry") from None
        return _inflate(content) if form == DEFLATED else content

    async def unseal(self, sealed: bytes, *, collection: str, key: str, expires: int | None) -> bytes:
        """As `open`, but an unknown key is looked for in the vault first: another instance may have got it already.

        Raises:
            DependencyError: the vault does not answer.
        """
        try:
            return self.open(sealed, collection=collection, key=key, expires=expires)
        except DecryptionError:
            await self._source.reread()
        return self.open(sealed, collection=collection, key=key, expires=expires)

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the value was sealed under the key that seals now."""
        return _key_id(sealed) == self._source.ring.newest.key_id


def _key_id(sealed: bytes) -> bytes:
    return sealed[FORMAT_BYTES : FORMAT_BYTES + KEY_ID_BYTES]


def _inflate(content: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(content, MAX_PLAIN_BYTES)
    except zlib.error as error:
        raise CorruptedDataError("the value does not decompress") from error
    if not inflater.eof:
        raise CorruptedDataError("the value is larger than any that is written, or cut short")
    return plain


def _cipher(root: bytes, collection: str, key: str) -> AESGCM:
    info = b"".join(len(part).to_bytes(8) + part for part in (_bytes(collection), _bytes(key)))
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(root))


def _bound(header: bytes, expires: int | None) -> bytes:
    return header + (b"-" if expires is None else str(expires).encode())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
