"""The signing keys of the directory: the newest signs, all of them verify."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from local.entra.state import State


class SigningKeys:
    """Keys kept in the state; the first one is made when there is none."""

    def __init__(self, *, state: State) -> None:
        self._state = state
        self._keys = {kid: _load(pem) for kid, pem in state.signing_keys()}
        if not self._keys:
            self.rotate()

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its id."""
        kid, private = secrets.token_urlsafe(32), rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._state.add_signing_key(kid, pem)
        self._keys[kid] = private
        return kid

    def sign(self, claims: dict[str, Any], *, headers: dict[str, Any] | None = None) -> str:
        """A compact RS256 token with the newest key's id in its header."""
        kid, newest = list(self._keys.items())[-1]
        return jwt.encode(claims, newest, algorithm="RS256", headers={"kid": kid, **(headers or {})})

    def verify(self, token: str) -> dict[str, Any]:
        """Claims of a token that one of the keys signed and whose time has come; raises jwt.InvalidTokenError.

        Issuer and audience are the caller's business.
        """
        key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise jwt.InvalidTokenError("The key was not found.")
        options: Any = {"verify_aud": False, "require": ["exp", "iat", "nbf", "iss", "aud", "sub"]}
        return jwt.decode(token, key.public_key(), algorithms=["RS256"], options=options)

    def jwks(self, *, issuer: str) -> dict[str, Any]:
        """The JSON Web Key Set, with the issuer that each key signs for, as the real one has it."""
        return {
            "keys": [
                {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "use": "sig", "kid": kid, "issuer": issuer}
                for kid, key in self._keys.items()
            ]
        }


def _load(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("A signing key in the state is not RSA; remove the state folder.")
    return key
