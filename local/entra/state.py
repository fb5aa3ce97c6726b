"""What the directory remembers, in SQLite, so that killing the process between two requests loses nothing.

Authorization codes, refresh tokens and client secrets are stored as SHA-256 digests: they are random, so a copy of the
file redeems nothing. Only the signing keys are readable, by the file's owner.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from local.private_file import open_database

if TYPE_CHECKING:
    from pathlib import Path

REFRESH_TOKEN_IDLE = 90 * 24 * 3600
"""Seconds after which an unused refresh token expires."""
TOKEN_ENDPOINT = ""
"""Stands for the token endpoint where faults are kept by API."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS signing_keys (kid TEXT PRIMARY KEY, pem TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, hint TEXT NOT NULL, expires REAL,
    removed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS codes (digest TEXT PRIMARY KEY, sign_in TEXT NOT NULL, issued REAL NOT NULL, redeemed REAL);
CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest TEXT PRIMARY KEY, grant_ TEXT NOT NULL, issued REAL NOT NULL, used REAL);
CREATE TABLE IF NOT EXISTS revocations (account TEXT PRIMARY KEY, valid_from REAL NOT NULL);
CREATE TABLE IF NOT EXISTS consents (account TEXT, scope TEXT, PRIMARY KEY (account, scope)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked_faults (
    id INTEGER PRIMARY KEY, api TEXT NOT NULL, fault TEXT NOT NULL, remaining INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What an authorization code stands for."""

    account: str
    tenant: str
    scope: str
    redirect_uri: str
    session: str
    nonce: str | None = None
    challenge: str | None = None
    challenge_method: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGrant:
    """What a refresh token stands for; `scope` is that of the first access token, `profile` of the sign-in."""

    account: str
    scope: str
    session: str
    profile: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCode:
    sign_in: SignIn
    issued: float
    redeemed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrant:
    grant: UserGrant
    issued: float
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """A secret's description; `hint` is its first three characters, as the portal shows them."""

    id: str
    hint: str
    expires: float | None


class Fault(BaseModel):
    """An answer that the next `times` requests get instead of success; `retry_after` is in seconds."""

    model_config = ConfigDict(extra="forbid")

    times: int = Field(default=1, ge=1)
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class TokenFault(Fault):
    """A fault of the token endpoint; None keeps what the code has by nature, and stands for every grant type."""

    code: int
    status: int | None = Field(default=None, ge=400, le=599)
    error: str | None = None
    grant_type: str | None = None


class ApiFault(Fault):
    """A fault of an API: a status, or a challenge to show a newer token."""

    status: int = Field(default=503, ge=400, le=599)
    challenge: bool = False


class State:
    """One open database; every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, schema=_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def purge(self, *, now: float) -> None:
        """Forget codes and refresh tokens so old that only their error code would change."""
        self._db.execute("DELETE FROM codes WHERE issued < ?", (now - 24 * 3600,))
        self._db.execute("DELETE FROM refresh_tokens WHERE used < ?", (now - 2 * REFRESH_TOKEN_IDLE,))

    def signing_keys(self) -> list[tuple[str, str]]:
        """Key id and PEM, oldest first."""
        return self._db.execute("SELECT kid, pem FROM signing_keys ORDER BY rowid").fetchall()

    def add_signing_key(self, kid: str, pem: str) -> None:
        self._db.execute("INSERT INTO signing_keys VALUES (?, ?)", (kid, pem))

    def add_secret(self, value: str, *, expires: float | None = None, revive: bool = True) -> ClientSecret | None:
        """Accept a client secret; one that was removed comes back only with `revive`, else the answer is None."""
        digest, identifier = _digest(value), secrets.token_hex(8)
        if revive:
            self._db.execute("DELETE FROM secrets WHERE digest = ?", (digest,))
        self._db.execute(
            "INSERT OR IGNORE INTO secrets (id, digest, hint, expires) VALUES (?, ?, ?, ?)",
            (identifier, digest, value[:3], expires),
        )
        return self.find_secret(value)

    def remove_secret(self, identifier: str) -> bool:
        changed = self._db.execute("UPDATE secrets SET removed = 1 WHERE id = ? AND NOT removed", (identifier,))
        return changed.rowcount == 1

    def secrets(self) -> list[ClientSecret]:
        rows = self._db.execute("SELECT id, hint, expires FROM secrets WHERE NOT removed ORDER BY rowid").fetchall()
        return [ClientSecret(id=row[0], hint=row[1], expires=row[2]) for row in rows]

    def find_secret(self, value: str) -> ClientSecret | None:
        row = self._db.execute(
            "SELECT id, hint, expires FROM secrets WHERE digest = ? AND NOT removed", (_digest(value),)
        ).fetchone()
        return ClientSecret(id=row[0], hint=row[1], expires=row[2]) if row else None

    def add_code(self, sign_in: SignIn, *, now: float) -> str:
        code = secrets.token_urlsafe(48)
        self._db.execute("INSERT INTO codes VALUES (?, ?, ?, NULL)", (_digest(code), json.dumps(asdict(sign_in)), now))
        return code

    def find_code(self, code: str) -> StoredCode | None:
        row = self._db.execute(
            "SELECT sign_in, issued, redeemed FROM codes WHERE digest = ?", (_digest(code),)
        ).fetchone()
        if row is None:
            return None
        return StoredCode(sign_in=SignIn(**json.loads(row[0])), issued=row[1], redeemed=row[2] is not None)

    def redeem_code(self, code: str, *, now: float) -> bool:
        """True for the one caller who redeems the code."""
        changed = self._db.execute(
            "UPDATE codes SET redeemed = ? WHERE digest = ? AND redeemed IS NULL", (now, _digest(code))
        )
        return changed.rowcount == 1

    def add_refresh_token(self, grant: UserGrant, *, now: float) -> str:
        token = "1." + secrets.token_urlsafe(96)
        self._db.execute(
            "INSERT INTO refresh_tokens VALUES (?, ?, ?, ?)", (_digest(token), json.dumps(asdict(grant)), now, now)
        )
        return token

    def find_refresh_token(self, token: str) -> StoredGrant | None:
        row = self._db.execute(
            "SELECT grant_, issued, used FROM refresh_tokens WHERE digest = ?", (_digest(token),)
        ).fetchone()
        return StoredGrant(grant=UserGrant(**json.loads(row[0])), issued=row[1], used=row[2]) if row else None

    def touch_refresh_token(self, token: str, *, now: float) -> None:
        self._db.execute("UPDATE refresh_tokens SET used = ? WHERE digest = ?", (now, _digest(token)))

    def revoke(self, account: str, *, now: float) -> None:
        self._db.execute("INSERT OR REPLACE INTO revocations VALUES (?, ?)", (account, now))

    def valid_from(self, account: str) -> float:
        row = self._db.execute("SELECT valid_from FROM revocations WHERE account = ?", (account,)).fetchone()
        return row[0] if row else 0.0

    def add_consents(self, account: str, scopes: frozenset[str]) -> None:
        rows = [(account, scope) for scope in scopes]
        self._db.executemany("INSERT OR IGNORE INTO consents VALUES (?, ?)", rows)

    def consents(self, account: str) -> frozenset[str]:
        rows = self._db.execute("SELECT scope FROM consents WHERE account = ?", (account,)).fetchall()
        return frozenset(row[0] for row in rows)

    def add_fault(self, fault: Fault, *, api: str) -> None:
        values = (api, fault.model_dump_json(), fault.times)
        self._db.execute("INSERT INTO asked_faults (api, fault, remaining) VALUES (?, ?, ?)", values)

    def take_fault[Taken: Fault](self, kind: type[Taken], *, api: str, grant_type: str = "") -> Taken | None:
        """The oldest fault of an API, or of the token endpoint for a grant type, used up by one."""
        row = self._db.execute(
            "SELECT id, fault FROM asked_faults WHERE api = ? AND coalesce(json_extract(fault, '$.grant_type'), ?) = ? "
            "ORDER BY id LIMIT 1",
            (api, grant_type, grant_type),
        ).fetchone()
        if row is None:
            return None
        self._db.execute("UPDATE asked_faults SET remaining = remaining - 1 WHERE id = ?", (row[0],))
        self._db.execute("DELETE FROM asked_faults WHERE remaining <= 0")
        return kind.model_validate_json(row[1])

    def clear_faults(self, *, api: str) -> None:
        self._db.execute("DELETE FROM asked_faults WHERE api = ?", (api,))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
