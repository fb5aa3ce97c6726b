"""`python -m ops rotate`: a new client secret, or a new signing key, without a failed request."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING

from ops.command import Command
from ops.commands.postprovision import ensure_client_secret, vault_resource
from ops.environment import APP_OBJECT_ID, AUTH_MODE, CLIENT_ID, ENDPOINTS, ENTRA_TENANT, TENANT, VAULT_ID, VAULT_URL
from ops.errors import ApiError, UnreachableError, UsageError
from ops.signing_key import (
    MARGIN_DAYS,
    MOST_VERSIONS,
    TOKEN_LIFETIME_DAYS,
    TooManyKeysError,
    add_version,
    old_keys,
)
from ops.vault import SIGNING_KEY, VaultItself, vault_url_of

if TYPE_CHECKING:
    from ops.command import Context
    from ops.signing_key import OldKey
    from ops.vault import VaultResource, Version

SECRET = "client-secret"  # noqa: S105 - what is rotated
KEY = "signing-key"


def run(context: Context) -> int:
    """Rotates what was asked for."""
    options = context.options
    if options.what is None and not options.disable_old:
        raise UsageError(f"Say what to rotate: {SECRET} or {KEY}.")
    if options.what == SECRET:
        if options.disable_old:
            raise UsageError("--disable-old is for the signing key; older client secrets are removed by themselves.")
        return _rotate_client_secret(context)
    vault = vault_resource(context)
    context.report.heading(f"{SIGNING_KEY} in {vault.name}")
    if options.disable_old:
        return _disable_old(context, vault)
    return _rotate_signing_key(context, vault)


def _rotate_client_secret(context: Context) -> int:
    mode = context.environment.get(AUTH_MODE, "proxy")
    if mode != "proxy":
        raise UsageError(f"With AUTH_MODE={mode} there is no client secret.")
    vault = vault_resource(context)
    context.report.heading(f"Client secret in {vault.name}")
    ensure_client_secret(context, vault, force=True)
    context.report.text("Servers take it up within five minutes, or at once when Entra ID refuses the old one.")
    return 0


def _rotate_signing_key(context: Context, vault: VaultResource) -> int:
    before = vault.find(SIGNING_KEY)
    if before is not None:
        _refuse_too_many(context, before)
    added = add_version(vault)
    context.report.ok("added", f"version {added.id}; servers sign with it within five minutes")
    if before is None:
        return 0
    keys = _old_keys(context, added)
    if keys is None:
        day = added.created + _kept_for(context)
        context.report.note("older version", f"{before.id} may be disabled from {day:%Y-%m-%d}")
        return 0
    _list(context, keys)
    return 0


def _disable_old(context: Context, vault: VaultResource) -> int:
    """Disables the versions whose day has come, by the vault's own clock."""
    newest = vault.find(SIGNING_KEY)
    if newest is None:
        context.report.ok("nothing to do", "the vault has no signing key")
        return 0
    itself = VaultItself(context.services.vault(vault_url_of(newest)))
    keys = _keys_of(context, itself, newest)
    now = itself.now(SIGNING_KEY)
    due = [key for key in keys if key.disable_from <= now]
    for key in due:
        itself.disable(key.version)
        context.report.ok("disabled", f"version {key.version.id}, out of use since {key.superseded:%Y-%m-%d}")
    waiting = [key for key in keys if key not in due]
    _list(context, waiting)
    if not keys:
        context.report.ok("nothing to do", "the newest version is the only enabled one")
    return 0


def _refuse_too_many(context: Context, before: Version) -> None:
    keys = _old_keys(context, before)
    if keys is not None and len(keys) + 1 >= MOST_VERSIONS:
        raise TooManyKeysError(min(key.disable_from for key in keys))


def _old_keys(context: Context, newest: Version) -> list[OldKey] | None:
    """The older enabled versions, or None when this account may not list them."""
    itself = VaultItself(context.services.vault(vault_url_of(newest)))
    try:
        return _keys_of(context, itself, newest)
    except (ApiError, UnreachableError) as error:
        context.report.note("older versions", f"cannot be listed. {error}")
        return None


def _keys_of(context: Context, itself: VaultItself, newest: Version) -> list[OldKey]:
    versions = itself.versions(SIGNING_KEY)
    enabled = [version for version in versions if version.enabled]
    # When the newest is disabled, servers sign with the newest that is not.
    known = {version.id for version in enabled}
    newest_id = newest.id if newest.id in known else max(enabled, key=lambda one: one.created, default=newest).id
    return old_keys(versions, newest_id=newest_id, keep=_kept_for(context))


def _kept_for(context: Context) -> timedelta:
    return timedelta(days=context.options.token_lifetime_days + MARGIN_DAYS)


def _list(context: Context, keys: list[OldKey]) -> None:
    for key in keys:
        context.report.note("older version", f"{key.version.id} may be disabled from {key.disable_from:%Y-%m-%d}")
    if keys:
        context.report.text("On that day: python -m ops rotate signing-key --disable-old")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=(SECRET, KEY), help="what to rotate")
    parser.add_argument(
        "--disable-old", action="store_true", help="disable the signing keys whose day has come, and add none"
    )
    parser.add_argument(
        "--token-lifetime-days",
        type=_days,
        default=TOKEN_LIFETIME_DAYS,
        metavar="N",
        help=f"lifetime of refresh tokens (default {TOKEN_LIFETIME_DAYS}); {MARGIN_DAYS} days are added to it",
    )


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError(f"{text} is no number of days from 1 to 3650")
    return int(text)


COMMAND = Command(
    name="rotate",
    summary="renew the client secret or the signing key",
    description=(
        "client-secret: makes a new one, puts it into the vault once Entra ID accepts it, and keeps the one before it "
        "at "
        "the registration. signing-key: adds a version, and tells from which day each older one may be disabled; "
        "--disable-old disables those whose day has come."
    ),
    needs=(TENANT, VAULT_ID),
    takes=(CLIENT_ID, APP_OBJECT_ID, AUTH_MODE, ENTRA_TENANT, VAULT_URL, *ENDPOINTS),
    add_arguments=_add_arguments,
    examples=(
        "examples:\n  python -m ops rotate client-secret\n  python -m ops rotate signing-key\n"
        "  python -m ops rotate signing-key --disable-old"
    ),
    run=run,
)
