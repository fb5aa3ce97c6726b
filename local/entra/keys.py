"""The signing keys of the directory: the newest signs, all of them verify."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from local.entra.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kid: str
    private: rsa.RSAPrivateKey

    def public_jwk(self) -> dict[str, Any]:
        return {**RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "use": "sig", "kid": self.kid}


class SigningKeys:
    """Keys kept in the state; the first one is made when there is none."""

    def __init__(self, *, state: State) -> None:
        self._state = state
        self._keys = [SigningKey(kid=kid, private=_load(pem)) for kid, pem in state.signing_keys()]
        if not self._keys:
            self.rotate()

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its id."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key = SigningKey(kid=_thumbprint(private), private=private)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._state.add_signing_key(key.kid, pem)
        self._keys.append(key)
        return key.kid

    def sign(self, claims: dict[str, Any], *, headers: dict[str, Any] | None = None) -> str:
        """A compact RS256 token with the newest key's id in its header."""
        newest = self._keys[-1]
        return jwt.encode(claims, newest.private, algorithm="RS256", headers={"kid": newest.kid, **(headers or {})})

    def verify(self, token: str) -> dict[str, Any]:
        """Claims of a token that one of the keys signed and whose time has come; raises jwt.InvalidTokenError.

        Issuer and audience are the caller's business.
        """
        kid = jwt.get_unverified_header(token).get("kid")
        for key in self._keys:
            if key.kid == kid:
                options: Any = {"verify_aud": False, "require": ["exp", "iat", "nbf", "iss", "aud", "sub"]}
                return jwt.decode(token, key.private.public_key(), algorithms=["RS256"], options=options)
        raise jwt.InvalidTokenError("The key was not found.")

    def jwks(self, *, issuer: str) -> dict[str, Any]:
        """The JSON Web Key Set, with the issuer that each key signs for, as the real one has it."""
        return {"keys": [{**key.public_jwk(), "issuer": issuer} for key in self._keys]}


def _load(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("A signing key in the state is not RSA; remove the state folder.")
    return key


def _thumbprint(key: rsa.RSAPrivateKey) -> str:
    """RFC 7638 thumbprint, a stable id without a certificate."""
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    canonical = json.dumps({name: jwk[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
