"""Issues and verifies this server's own tokens under the ring of keys.

FastMCP's issuer knows one key, so a rotation would sign everybody out, and it accepts tokens without an expiry or from
the future (RFC 8725 section 3; RFC 9068 section 4). The key that signed is named in the header (RFC 7515 section
4.1.4).

A token says itself what FastMCP keeps in two rows of storage for each: whose it is, what it may do, and, in the claim
`sid`, which sign-in it belongs to. That is the key of the sign-in's token set, which only holders of its tokens know.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast, override

from fastmcp.server.auth.jwt_issuer import JWTIssuer
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from entra_mcp.request import REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.vault.keys import KeyRing, KeySource, RootKey

ALGORITHM = "HS256"
ACCESS = "access"
REFRESH = "refresh"
LEEWAY_SECONDS = 60
"""How far the clocks of two instances may differ (RFC 7519 section 4.1.5), for what begins. What ends, ends."""


class UnknownKeyError(JoseError):
    """A token names a key that is not in the ring, which may have been read before that key was made."""


class RingIssuer(JWTIssuer):
    """Signs with the newest key of the ring; accepts what any of them signed."""

    def __init__(self, *, issuer: str, audience: str, source: KeySource, sign_in: Callable[[], str]) -> None:
        """`sign_in` returns the id of the sign-in that tokens are being issued for."""
        super().__init__(issuer=issuer, audience=audience, signing_key=source.ring.newest.material)
        self._source = source
        self._sign_in = sign_in
        self._ring: KeyRing | None = None
        self._keys: dict[str, jwk.OctKey] = {}
        self._ids: dict[RootKey, str] = {}

    @override
    def issue_access_token(
        self,
        client_id: str,
        scopes: list[str],
        jti: str,
        expires_in: int = 3600,
        upstream_claims: dict[str, Any] | None = None,
        subject: str | None = None,
        extra_claims: dict[str, Any] | None = None,
    ) -> str:
        # What else FastMCP could put in is about the person, and this token is for the client.
        return self._issue(client_id, scopes, jti, expires_in, use=ACCESS)

    @override
    def issue_refresh_token(
        self,
        client_id: str,
        scopes: list[str],
        jti: str,
        expires_in: int,
        upstream_claims: dict[str, Any] | None = None,
    ) -> str:
        # One that takes the place of another keeps its scope: only the access token is narrowed (RFC 6749 section 6).
        request = REQUEST.get()
        if request and request.bearer and request.bearer[1]["token_use"] == REFRESH:
            scopes = request.bearer[1]["scope"].split()
        return self._issue(client_id, scopes, jti, expires_in, use=REFRESH)

    @override
    def verify_token(self, token: str, expected_token_use: str = ACCESS) -> dict[str, Any]:
        """Returns the claims of a token that is valid now. It is verified once for each request.

        Raises:
            UnknownKeyError: the ring may be out of date: `KeySource.reread`, then try again.
            JoseError: it is not a token of this server, or not one for this use, or not valid now.
        """
        request = REQUEST.get()
        if request and request.bearer and request.bearer[0] == token:
            known = request.bearer[1]
            if known["token_use"] == expected_token_use:
                return known
        try:
            claims = jwt.decode(token, self._key_of, algorithms=[ALGORITHM]).claims
        except (ValueError, TypeError, AttributeError) as error:
            # joserfc looks into a header that may be any JSON.
            raise JoseError("not a token") from error
        if claims.get("token_use") != expected_token_use:
            raise JoseError("a token for another use")
        if claims.get("iss") != self.issuer or claims.get("aud") != self.audience:
            raise JoseError("a token for another server")
        if not all(isinstance(claims.get(name), str) and claims[name] for name in ("jti", "sid", "client_id")):
            raise JoseError("a token without an id, a sign-in or a client")
        _check_times(claims, now=time.time())
        if request:
            request.bearer = (token, claims)
        return claims

    def _key_of(self, token: jwk.GuestProtocol) -> jwk.OctKey:
        header = token.headers()
        key = self._followed().get(str(header.get("kid")))
        if key is None:
            raise UnknownKeyError("the token was signed with another key")
        if header.get("typ") != "JWT" or header.get("crit"):
            raise JoseError("not a token of this server")
        return key

    def _issue(self, client_id: str, scopes: list[str], jti: str, expires_in: int, *, use: str) -> str:
        keys, newest = self._followed(), self._ids[self._source.ring.newest]
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "client_id": client_id,
            "scope": " ".join(scopes),
            "iat": now,
            "nbf": now,
            "exp": now + expires_in,
            "jti": jti,
            "sid": self._sign_in(),
            "token_use": use,
        }
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": newest}
        return jwt.encode(header, claims, keys[newest], algorithms=[ALGORITHM])

    def _followed(self) -> dict[str, jwk.OctKey]:
        ring = self._source.ring
        if ring is not self._ring:
            self._ids = {key: key.key_id.hex() for key in ring.keys}
            self._keys = {self._ids[key]: jwk.OctKey.import_key(key.material) for key in ring.keys}
            self._ring = ring
        return self._keys


def _check_times(claims: dict[str, Any], *, now: float) -> None:
    times = [claims.get(name) for name in ("exp", "iat", "nbf")]
    if any(isinstance(time, bool) or not isinstance(time, int | float) for time in times):
        raise JoseError("a token without its times")
    expires, issued, starts = cast("list[float]", times)
    if expires <= now:
        raise JoseError("the token has expired")
    if max(issued, starts) > now + LEEWAY_SECONDS:
        raise JoseError("a token from the future")
