"""The signing key: versions of one secret, the newest signs, all enabled ones verify and decrypt.

Threat: disabling a version too early signs everybody out whose tokens it signed; so the vault's own clock and times
decide, every doubt counts towards later, and the newest version is never touched.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ops.environment import EXPIRY_DATE, Environment
from ops.errors import BadInputError
from ops.vault import SIGNING_KEY, VaultResource, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.command import Context

KEY_BYTES = 32
TOKEN_LIFETIME_DAYS = 90
"""The longest-lived token that a key signs is a refresh token."""

MARGIN_DAYS = 7
"""Servers go on signing with the old key for minutes; and nobody is in a hurry."""

MAX_VERSIONS = 8
"""Enabled versions that the server reads; one more would put the oldest out of use before its day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldKey:
    """An enabled version that does not sign any more, and from when it may be disabled."""

    version: Version
    superseded: datetime
    disable_from: datetime


def add_version(vault: VaultResource, *, expires: datetime | None) -> Version:
    """Puts 32 random bytes into the vault, in base64 as the server expects them.

    The server does not look at when a key expires; a policy of the vault may.
    """
    key = SecretStr(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    return vault.put(SIGNING_KEY, key, content_type="32 random bytes, base64", tags={}, expires=expires)


def ensure_signing_key(context: Context, vault: VaultResource) -> None:
    """Creates the first key where the infrastructure has not; never a second one."""
    kept = vault.find(SIGNING_KEY)
    if kept is None:
        add_version(vault, expires=expiry_of(context.environment, now=context.now()))
        context.report.ok(SIGNING_KEY, "made")
    elif not kept.enabled:
        context.report.note(
            SIGNING_KEY,
            "its newest version is disabled; `python -m ops rotate signing-key` adds one if no other is enabled",
        )
    else:
        context.report.ok(SIGNING_KEY, f"there since {kept.created:%Y-%m-%d}")


def expiry_of(environment: Environment, *, now: datetime) -> datetime | None:
    """When new keys expire, where somebody said so.

    Raises:
        BadInputError: it is no day that is still to come.
    """
    if not environment.has(EXPIRY_DATE):
        return None
    try:
        day = datetime.strptime(environment[EXPIRY_DATE], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadInputError(EXPIRY_DATE.name, "has to be a day such as 2027-03-01") from None
    if day <= now:
        raise BadInputError(EXPIRY_DATE.name, "has to be a day that is still to come")
    return day


def old_keys(versions: Sequence[Version], *, newest_id: str, keep: timedelta) -> list[OldKey]:
    """The enabled versions that do not sign any more, the oldest first.

    The newest is the one that the vault gives out. When that is disabled, the newest that is not signs, and no enabled
    one is later than it. A version ceased to sign when a later one could: at the latest when a later one that is
    enabled was last changed, for since then it has been enabled all the time.
    """
    enabled = sorted((version for version in versions if version.enabled), key=lambda version: version.created)
    found: list[OldKey] = []
    for version in enabled:
        later = [
            max(other.created, other.updated)
            for other in enabled
            if other.created > version.created or other.id == newest_id
        ]
        if later and version.id != newest_id:
            superseded = min(later)
            found.append(OldKey(version=version, superseded=superseded, disable_from=superseded + keep))
    return found
